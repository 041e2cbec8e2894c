//! Words of which keys are made by those who do not think of one that others cannot find.
//!
//! Owns the words alone; how they count is `common`'s. **Invariant:** in lower case, without digits, each once, and none
//! before a longer one.

/// The words that the commonest passwords are made of, those of our trade, and names of days and months.
#[rustfmt::skip]
pub(super) const WORDS: &[&str] = &[
    "administrator", "development", "placeholder", "basketball", "changethis", "helloworld", "manchester",
    "production", "anthropic", "barcelona", "butterfly", "chocolate", "liverpool", "localhost", "microsoft",
    "replaceme", "september", "spiderman", "superuser", "temporary", "wednesday", "babygirl", "baseball",
    "business", "changeme", "computer", "corvette", "customer", "database", "december", "facebook",
    "february", "football", "iloveyou", "internal", "internet", "jennifer", "linkedin", "mercedes",
    "november", "password", "passwort", "princess", "saturday", "starwars", "steelers", "sunshine",
    "superman", "thursday", "tollgate", "whatever", "account", "anthony", "arsenal", "billing", "charlie",
    "chatgpt", "chelsea", "company", "cowboys", "default", "desktop", "diamond", "example", "ferrari",
    "forever", "freedom", "friends", "fuckoff", "fuckyou", "gateway", "goodbye", "iloveme", "january",
    "jessica", "letmein", "litellm", "loveyou", "manager", "matthew", "michael", "mistral", "mustang",
    "network", "nothing", "october", "phoenix", "pokemon", "porsche", "private", "rainbow", "samsung",
    "service", "staging", "testing", "trustno", "tuesday", "twitter", "virtual", "warrior", "welcome",
    "william", "windows", "yankees", "youtube", "access", "amanda", "amazon", "andrew", "ashley", "august",
    "autumn", "azerty", "backup", "banana", "batman", "biteme", "buster", "cheese", "christ", "claude",
    "cookie", "daniel", "docker", "dragon", "falcon", "family", "father", "flower", "friday", "gemini",
    "george", "ginger", "golden", "google", "harley", "heaven", "hockey", "hunter", "jordan", "joshua",
    "killer", "lakers", "lovely", "maggie", "master", "matrix", "monday", "monkey", "mother", "naruto",
    "nicole", "office", "openai", "oracle", "orange", "pepper", "please", "public", "purple", "qazwsx",
    "qwerty", "qwertz", "ranger", "robert", "sample", "secret", "server", "shadow", "silver", "soccer",
    "spring", "summer", "sunday", "system", "thomas", "tigger", "ubuntu", "winter", "yamaha", "yellow",
    "admin", "angel", "apple", "april", "azure", "cisco", "dummy", "eagle", "guest", "hallo", "happy",
    "hello", "jesus", "linux", "local", "login", "lucky", "march", "money", "proxy", "tiger", "token",
    "value", "world", "asdf", "demo", "here", "july", "june", "love", "root", "temp", "test", "this",
    "user", "your", "zxcv", "abc", "api", "key", "my",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_their_order() {
        for pair in WORDS.windows(2) {
            assert!((pair[1].len(), pair[0]) < (pair[0].len() + 1, pair[1]), "{pair:?}");
        }
        assert!(WORDS.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }
}
