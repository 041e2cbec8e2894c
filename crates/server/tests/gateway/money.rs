//! What a call cost, as the caller's head and the operator's metrics say it.
