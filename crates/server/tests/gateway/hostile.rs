//! Callers that mean no good, and callers that are merely wrong: what they send goes nowhere that it should not.
