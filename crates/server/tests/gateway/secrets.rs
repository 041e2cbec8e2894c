//! Keys, which no answer shows.
