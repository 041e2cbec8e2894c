//! Whether one question may be answered with the answer of another.
