//! Paths that are written oddly, and headers that claim another: what is answered is the verdict of the row that the path
//! as it came leads to, and of no other.

use super::roles::{TWICE, expected_of, path_of, verdict};
use super::world::World;
use http::Method;
use tollgate_identity::access::ROUTES;
use tollgate_server::routes::{Access, Found, Routes, TABLE};

/// Ways to write a path that some reader or other takes for the plain one.
fn spellings(path: &str) -> Vec<String> {
    let (before, last) = path.rsplit_once('/').unwrap();
    let first = path[1..].split('/').next().unwrap();
    vec![
        path.to_owned(),
        format!("/{path}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("{before}//{last}"),
        format!("{before}/./{last}"),
        format!("{before}/x/../{last}"),
        format!("/v1/models/..{path}"),
        format!("/health/liveliness/..{path}"),
        format!("{before}%2f{last}"),
        format!("{before}/%2e%2e/{first}/{last}"),
        format!("{path};a=b"),
        format!("{before};a=b/{last}"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}?/health/liveliness"),
        format!(
            "/%{:02x}{}",
            path.as_bytes()[1..].first().unwrap_or(&b'%'),
            path.get(2..).unwrap_or_default()
        ),
        path.to_uppercase(),
        format!("http://gateway{path}"),
        format!("http://elsewhere/health/liveliness/..{path}"),
    ]
}

/// Headers by which other servers are told another path or method.
const CLAIMS: [&str; 6] = [
    "x-original-url: /health/liveliness\r\n",
    "x-rewrite-url: /health/liveliness\r\n",
    "x-http-method-override: GET\r\n",
    "x-method-override: OPTIONS\r\n",
    "x-forwarded-prefix: /health\r\nx-forwarded-host: localhost\r\n",
    "x-forwarded-uri: /health/liveliness\r\nforwarded: for=127.0.0.1;host=localhost\r\n",
];

/// What somebody without a key is to get, and a user's key.
fn wanted(found: &Found, method: &str) -> (char, char) {
    match found {
        Found::Served { access: Access::Open, .. } => ('x', 'x'),
        Found::Served { access: Access::Caller, .. } => ('-', 'x'),
        Found::Served { access: Access::Operator | Access::Observer, .. } => ('-', '.'),
        Found::Admin(found) => {
            let pattern = format!("{found:?}");
            ('-', expected_of("user", method, pattern.split(' ').nth(1).unwrap()))
        }
        Found::WrongMethod(_) | Found::Nothing => ('x', 'x'),
    }
}

#[tokio::test]
async fn a_path_is_judged_by_the_row_that_it_leads_to_however_it_is_written() {
    let world = World::open("").await;
    let routes = Routes::new().unwrap();
    let (mut anonymous, mut user) = (world.line("anonymous"), world.line("alone-a"));
    let of_table = TABLE.iter().map(|row| (row.method.to_string(), row.path));
    let all = ROUTES.iter().map(|row| (row.method.to_owned(), row.path)).chain(of_table);
    let is_long = std::env::var_os("TOLLGATE_TEST_LONG").is_some();
    let (mut asked, mut wrong) = (0, Vec::new());
    for (number, (method, pattern)) in all.enumerate().filter(|(_, (_, path))| *path != "/") {
        for (way, target) in spellings(&path_of(pattern)).into_iter().enumerate() {
            // What is no address leads nowhere.
            let found = target
                .parse::<http::Uri>()
                .map_or(Found::Nothing, |uri| routes.find(&method.parse::<Method>().unwrap(), uri.path()));
            let (nobody, somebody) = wanted(&found, &method);
            // A third of them each time, all of them in the long run.
            if !is_long && (number + way) % 3 != 0 {
                continue;
            }
            let is_user = (number / 3 + way) % 2 == 0;
            let (line, expected) = if is_user { (&mut user, somebody) } else { (&mut anonymous, nobody) };
            let claim = CLAIMS[(number + way) % CLAIMS.len()];
            let request = format!(
                "{method} {target} HTTP/1.1\r\nhost: localhost\r\n{claim}{}content-type: application/json\r\n\
                 content-length: {}\r\n\r\n{TWICE}",
                line.says,
                TWICE.len()
            );
            let answer = line.send(request.as_bytes()).await;
            asked += 1;
            // What leads nowhere says so, to anybody.
            let is_nowhere = matches!(found, Found::Nothing | Found::WrongMethod(_));
            let is_right = if is_nowhere {
                [400, 404, 405].contains(&answer.status)
            } else {
                verdict(&answer) == expected
            };
            if !is_right {
                let who = if is_user { "user" } else { "anonymous" };
                wrong.push(format!("{who} {method} {target} {claim:?}: {found:?} {}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 2_000, "{asked}");
    world.close().await;
}
