//! Alerts by mail, in a conversation with a strict server.

use crate::conversation::{Letter, MailServer, Manners};
use crate::support::{Stand, everything, numbered, spent, until, until_later};
use base64::Engine as _;
use std::time::Duration;
use tollgate_alerts::Alert;
use tollgate_config::MailTls;

const SECOND: Duration = Duration::from_secs(1);
const OPS: &str = "ops@example.com";

fn text_of(letter: &Letter) -> String {
    let (_, body) = letter.text.split_once("\r\n\r\n").unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(body.replace("\r\n", "")).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A server with these manners, and alerts that trust it and go to it.
async fn stand(manners: Manners, login: Option<(&str, &str)>, to: &[&str]) -> (MailServer, Stand) {
    let server = MailServer::start(manners).await;
    let stand = Stand::trusting(vec![server.way(login, to)], vec![server.root.clone()]);
    (server, stand)
}

#[tokio::test]
async fn a_mail_is_handed_in_with_tls_and_without_and_with_every_way_to_log_in() {
    let login = Some(("robot", "p\u{e4}ss w\u{f6}rd"));
    for (tls, auth, wanted) in [
        (MailTls::Starttls, "AUTH PLAIN LOGIN", login),
        (MailTls::Starttls, "AUTH LOGIN", login),
        (MailTls::Implicit, "AUTH PLAIN", login),
        (MailTls::None, "AUTH=LOGIN", login),
        (MailTls::None, "HELP", None),
        (MailTls::Starttls, "HELP", None),
    ] {
        let mut manners = Manners { login: wanted, ..Manners::new(tls) };
        manners.extensions.push(auth);
        let (server, stand) = stand(manners, wanted, &[OPS]).await;
        stand.alerts.tell(Alert::threshold(spent("k1", 750, None), 750_000, "warn"));
        until("it is taken", || stand.counts.delivered("email") == 1).await;
        let [letter] = &server.letters()[..] else { panic!("one letter") };
        assert_eq!((letter.from.as_str(), &letter.to[..]), ("tollgate@example.com", &[OPS.to_owned()][..]));
        assert_eq!(letter.is_encrypted, tls != MailTls::None);
        assert_eq!(letter.login, wanted.map(|(user, password)| (user.to_owned(), password.to_owned())));
        let text = text_of(letter);
        assert!(text.starts_with("Key alias of k1 has spent $7.50 of $10.00: 75% of the budget."), "{text}");
    }
}

#[tokio::test]
async fn every_alert_makes_a_good_mail() {
    let (server, stand) = stand(Manners::new(MailTls::None), None, &[OPS]).await;
    for (count, alert) in everything().into_iter().enumerate() {
        stand.alerts.tell(alert);
        until_later("it is taken", 5 * SECOND, || server.count() == count + 1).await;
    }
    assert!(server.letters().iter().all(|letter| !letter.text.to_lowercase().contains("\r\nbcc")));
}

#[tokio::test]
async fn an_alert_may_name_further_recipients_and_one_that_is_none_is_left_out() {
    let (server, stand) = stand(Manners::new(MailTls::None), None, &[OPS]).await;
    let more = ["alice@example.com", OPS, "x@y.z>\r\nRCPT TO:<evil@example.com", "nobody"];
    stand.alerts.tell(numbered(1).mailed_to(more.map(str::to_owned).to_vec()));
    until("it is taken", || server.count() == 1).await;
    assert_eq!(server.letters()[0].to, [OPS, "alice@example.com"]);
}

#[tokio::test]
async fn without_anybody_to_mail_nobody_is_called() {
    let (server, stand) = stand(Manners::new(MailTls::None), None, &[]).await;
    stand.alerts.tell(numbered(1));
    until("it is done", || stand.counts.delivered("email") == 1).await;
    assert_eq!(server.commands(), [] as [String; 0]);
}

#[tokio::test]
async fn where_tls_is_wanted_nothing_is_said_without_it() {
    let login = Some(("robot", "secret"));
    let without = Manners { offers_tls: false, login, ..Manners::new(MailTls::Starttls) };
    let injecting = Manners { injects: "250 AUTH PLAIN", login, ..Manners::new(MailTls::Starttls) };
    for (manners, expect) in [(without, &["EHLO"][..]), (injecting, &["EHLO", "STARTTLS"][..])] {
        let (server, stand) = stand(manners, login, &[OPS]).await;
        stand.alerts.tell(numbered(1));
        until("it is given up", || stand.counts.dropped("email") == 1).await;
        assert_eq!(
            (server.commands(), server.count()),
            (expect.iter().map(|it| (*it).to_owned()).collect(), 0)
        );
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_trusted() {
    for tls in [MailTls::Starttls, MailTls::Implicit] {
        let server = MailServer::start(Manners::new(tls)).await;
        let stand = Stand::new(vec![server.way(None, &[OPS])]);
        stand.alerts.tell(numbered(1));
        until_later("it is given up", 10 * SECOND, || stand.counts.dropped("email") == 1).await;
        assert_eq!(server.count(), 0);
    }
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    for (verb, reply) in [
        ("greeting", "421 later"),
        ("EHLO", "421 later"),
        ("MAIL", "451 later"),
        ("RCPT", "450 later"),
        ("DATA", "452 later"),
        ("end of DATA", "451 later"),
        ("greeting", "nonsense"),
    ] {
        let manners = Manners { says: vec![(verb, reply)], ..Manners::new(MailTls::None) };
        let (server, stand) = stand(manners, None, &[OPS]).await;
        stand.alerts.tell(numbered(1));
        until_later("it is taken", SECOND, || stand.counts.delivered("email") == 1).await;
        assert_eq!((server.letters().len(), stand.counts.dropped("email")), (1, 0), "{verb}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_not_asked_again() {
    for (verb, reply) in
        [("greeting", "554 no"), ("MAIL", "550 no"), ("RCPT", "550 no"), ("end of DATA", "554 spam")]
    {
        let manners = Manners { says: vec![(verb, reply)], ..Manners::new(MailTls::None) };
        let (server, stand) = stand(manners, None, &[OPS]).await;
        stand.alerts.tell(numbered(1));
        until("it is given up", || stand.counts.dropped("email") == 1).await;
        assert_eq!(server.count(), 0, "{verb}");
    }
    let manners = Manners {
        login: Some(("robot", "other")),
        extensions: vec!["AUTH PLAIN"],
        ..Manners::new(MailTls::None)
    };
    let (server, stand) = stand(manners, Some(("robot", "wrong")), &[OPS]).await;
    stand.alerts.tell(numbered(1));
    until("it is given up", || stand.counts.dropped("email") == 1).await;
    assert_eq!(server.commands(), ["EHLO", "AUTH"]);
}

#[tokio::test]
async fn one_recipient_that_is_refused_takes_nothing_from_the_others() {
    let refused = vec![("gone@example.com", "550 nobody here")];
    let manners = Manners { refused, ..Manners::new(MailTls::None) };
    let (server, stand) = stand(manners, None, &["gone@example.com", OPS]).await;
    stand.alerts.tell(numbered(1));
    until("it is taken", || stand.counts.delivered("email") == 1).await;
    assert_eq!(server.letters()[0].to, [OPS]);
}

#[tokio::test]
async fn a_storm_fills_no_mailbox() {
    let (server, stand) = stand(Manners::new(MailTls::None), None, &[OPS]).await;
    for number in 0..1_000 {
        stand.alerts.tell(numbered(number));
    }
    until_later("all is told", 5 * SECOND, || stand.counts.delivered("email") == 1_000).await;
    let letters = server.letters();
    assert_eq!(letters.len(), 6);
    assert!(text_of(&letters[5]).starts_with("995 more alerts"), "{}", text_of(&letters[5]));
}

#[tokio::test]
async fn the_address_guard_judges_a_mail_server_too() {
    use tollgate_config::{AlertWay, Mail};
    let mail = Mail {
        // An address that is nobody's (RFC 5737).
        host: "192.0.2.1".to_owned(),
        port: 25,
        tls: MailTls::None,
        login: None,
        sender: "tollgate@example.com".to_owned(),
        to: vec![OPS.to_owned()],
    };
    let stand = Stand::new(vec![AlertWay::Email(Box::new(mail))]);
    stand.alerts.tell(numbered(1));
    // At once, and so without a connection that is tried again.
    until("it is given up", || stand.counts.dropped("email") == 1).await;
}
