//! JSON read by one strict scan and changed by splicing, without building a tree.
