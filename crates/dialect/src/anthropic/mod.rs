//! Anthropic's wire: messages, streams, errors.
