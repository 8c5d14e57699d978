//! The table of rules as text, for people.
