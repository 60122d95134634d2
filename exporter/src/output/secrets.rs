//! What users write, shown again without secrets.
//!
//! No output takes a password in its URL. Who writes one there all the same finds it in no message.

use super::balance::BALANCE;
use super::{OUTPUTS, Output, TargetForm};

/// The text of a setting, which may have a URL, for messages: with `...` for user and password, and
/// for values of settings that no output has.
pub fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once(':') else { return text.to_owned() };
    let slashes = rest.len() - rest.trim_start_matches('/').len();
    let (slashes, rest) = rest.split_at(slashes);
    if scheme.ends_with(BALANCE.scheme) {
        let members: Vec<_> = members(rest).into_iter().map(without_secrets).collect();
        return format!("{scheme}:{slashes}{}", members.join(","));
    }
    let (head, query) = parts(rest);
    let head = if is_path(scheme) { head.to_owned() } else { without_user(head) };
    let query = query.map(|query| format!("?{}", shown_query(query)));
    format!("{scheme}:{slashes}{head}{}", query.unwrap_or_default())
}

/// The collectors of a group. A password may have a comma too.
fn members(mut text: &str) -> Vec<&str> {
    let begins = |text: &str| {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| Output::find(scheme).is_some())
    };
    let mut members = Vec::new();
    while let Some((at, _)) = text.match_indices(',').find(|(at, _)| begins(&text[at + 1..])) {
        members.push(&text[..at]);
        text = &text[at + 1..];
    }
    members.push(text);
    members
}

/// The value of a setting without the user and password of a URL.
pub(super) fn without_user(value: &str) -> String {
    let at = ["@", "%40"].into_iter().filter_map(|at| value.rfind(at)).max();
    at.map_or_else(|| value.to_owned(), |at| format!("...{}", &value[at..]))
}

/// Whether a text ends with the scheme of an output into a file. Before it may be an option.
fn is_path(scheme: &str) -> bool {
    let mut files = OUTPUTS.iter().filter(|output| matches!(output.target, TargetForm::Path(_)));
    files.any(|output| scheme.ends_with(output.scheme))
}

/// The target and the query. A password may have a `?` too.
fn parts(rest: &str) -> (&str, Option<&str>) {
    let first = rest.split_once('?').map(|(head, query)| (head, Some(query)));
    let is_sound = |&(head, query): &(&str, Option<&str>)| {
        let names_settings = query.is_some_and(|query| query.split('&').all(is_pair));
        names_settings && (head.contains('@') || has_no_password(head))
    };
    first.filter(is_sound).unwrap_or_else(|| {
        let at = rest.rfind('@').unwrap_or(0);
        let end = rest[at..].find('?').map(|end| at + end);
        end.map_or((rest, None), |end| (&rest[..end], Some(&rest[end + 1..])))
    })
}

fn is_pair(text: &str) -> bool {
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    text.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// Whether what follows a colon can only be a port.
fn has_no_password(head: &str) -> bool {
    let is_port = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || c == ':');
    head.starts_with('[') || head.split(':').skip(1).all(is_port)
}

fn shown_query(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if is_shown(name) => format!("{name}={}", without_user(value)),
        Some((name, _)) => format!("{name}=..."),
        None => without_user(pair),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Whether the values of a setting are shown.
fn is_shown(name: &str) -> bool {
    let mut settings = OUTPUTS.iter().flat_map(|output| output.settings);
    settings.any(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (text, shown) in [
            ("elastic+https://me:secret@h:9200", "elastic+https://...@h:9200"),
            ("elastic+https://me:secret@h?gzip=1", "elastic+https://...@h?gzip=1"),
            ("elastic+https://a:secret@h1,b:secret@h2", "elastic+https://...@h2"),
            ("--output=kafka://me:secret@h/topic", "--output=kafka://...@h/topic"),
            ("-oipfix:me:secret@h", "-oipfix:...@h"),
            ("me:secret@h", "me:...@h"),
            // Characters that a URL would have in another form.
            ("elastic+https://me:se/cr?et@h?gzip=1", "elastic+https://...@h?gzip=1"),
            ("elastic+https://me:se?cr=et@h?gzip=1", "elastic+https://...@h?gzip=1"),
            ("elastic+https://me:se@cret@h", "elastic+https://...@h"),
            ("elastic+http://h?proxy=http://me:secret@p", "elastic+http://h?proxy=...@p"),
            ("elastic+http://h:1?proxy=http%3A%2F%2Fme%3Asecret%40p&gzip=1", {
                "elastic+http://h:1?proxy=...%40p&gzip=1"
            }),
            ("elastic+http://h?user=me&password=secret", "elastic+http://h?user=me&password=..."),
            ("elastic+http://[::1]:1?api-key=secret", "elastic+http://[::1]:1?api-key=..."),
            ("json:x?password=a=b%20c&odid=1", "json:x?password=...&odid=1"),
            ("balance:ipfix://a:se,cret@h1,ipfix://b:secret@h2?mtu=1000", {
                "balance:ipfix://...@h1,ipfix://...@h2?mtu=1000"
            }),
            ("https://me:secret@hooks.example/x", "https://...@hooks.example/x"),
        ] {
            assert_eq!(without_secrets(text), shown, "{text}");
        }
    }

    #[test]
    fn other_texts_are_shown_as_they_are() {
        for text in [
            "elastic+https://h:9200,[::1]:9201?user=me&password-file=/etc/pass",
            "balance:ipfix://h1?mtu=1000,ipfix://h2:1?mtu=1000&takeover=5s",
            "json:/var/me@home/x?odid=1",
            "--output=ipfix-file:me@home",
            "json:password=abc",
            "web=192.0.2.80,2001:db8::/64",
            "a?b=c",
            "me@home",
            "",
        ] {
            assert_eq!(without_secrets(text), text);
        }
    }
}
