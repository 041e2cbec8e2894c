//! The programs beside the gateway that suites and the benchmark use, and the Debian package of each.
//!
//! The one place to add a program: a database or a browser that a suite needs becomes a row here, and the suite
//! that uses it starts it. What Python and Node packages are needed is `setup.rs`'s.
//!
//! **Invariant**: a row exists because a suite runs the program; nothing is installed that no test uses.

/// A program that must be on the machine, and where Debian has it.
pub(crate) struct Program {
    /// The name of the executable.
    pub(crate) name: &'static str,
    /// The Debian packages that bring it.
    pub(crate) packages: &'static [&'static str],
}

/// What the suites of `tests/` run.
pub(crate) const FOR_TESTS: &[Program] = &[
    Program { name: "python3", packages: &["python3", "python3-venv"] },
    Program { name: "curl", packages: &["curl"] },
    Program { name: "node", packages: &["nodejs"] },
    Program { name: "npm", packages: &["npm"] },
    // Reverse proxies that stand before the gateway in the framing tests.
    Program { name: "nginx", packages: &["nginx-light"] },
    Program { name: "haproxy", packages: &["haproxy"] },
];

/// What the tests of the crates run.
pub(crate) const FOR_CRATES: &[Program] = &[
    // The database beside SQLite. Debian starts a server of its own with it, which is not used.
    Program { name: "postgres", packages: &["postgresql"] },
    Program { name: "psql", packages: &["postgresql-client"] },
    // Gives root's rights away, which the server refuses.
    Program { name: "setpriv", packages: &["util-linux"] },
    // Stands before gateways that are restarted.
    Program { name: "haproxy", packages: &["haproxy"] },
    // Fills the disk for one process alone.
    Program { name: "prlimit", packages: &["util-linux"] },
];

/// What the benchmark runs.
pub(crate) const FOR_BENCH: &[Program] = &[
    Program { name: "nginx", packages: &["nginx-light"] },
    Program { name: "taskset", packages: &["util-linux"] },
    Program { name: "chrt", packages: &["util-linux"] },
    // Counts instructions.
    Program { name: "valgrind", packages: &["valgrind"] },
];

/// What `bench --peers` runs besides.
pub(crate) const FOR_PEERS: &[Program] = &[
    Program { name: "python3", packages: &["python3", "python3-venv"] },
    Program { name: "node", packages: &["nodejs"] },
    Program { name: "npm", packages: &["npm"] },
];
