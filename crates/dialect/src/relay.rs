//! The road for OpenAI's dialect on both sides: bodies and stream frames are scanned, spliced and passed on.
