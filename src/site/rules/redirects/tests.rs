//! Rules, and where they lead.

use proptest::prelude::*;

use super::*;

const RULES: &str = "
# comment
/home              /
/old/*             /new/:splat
/shop  id=:id      /product/:id            302
/shop  page=2 x=:x /second?y=:x#top        307  # and a comment
/shop              /all
/news/:y/:m/:slug  /blog/:slug-:y?m=:m     308!
/ext/*             https://example.com/e/:splat 303
/app/*             /app/index.html         200
/raw*              /:splat
/gone/*            /gone.html              404!
/self/             /self                   301
/up/:a             /up/:a                  302
/file a=:a         /f/:a                   200
";

#[track_caller]
fn check(rules: &str, target: &str, expected: &str) {
    let redirects = Redirects::parse(rules).unwrap();
    let (path, query) = split(target, '?');
    let path = UrlPath::parse(path).unwrap();
    let forced = redirects.forced(&path, query);
    let force = if forced.is_some() { "!" } else { "" };
    let led = redirects.lead(&path, query);
    assert!(forced.is_none() || forced == led, "{target}");
    let told = led.map_or_else(String::new, |to| match to {
        To::Redirect(status, location) => {
            format!("{}{force} {}", status.as_u16(), location.to_str().unwrap())
        }
        To::File(status, path) => {
            let path = path.as_ref().map_or("nothing", UrlPath::as_str);
            format!("{}{force} = {path}", status.as_u16())
        }
    });
    assert_eq!(told, expected, "{target}");
}

#[test]
fn rules_lead_as_documented() {
    check(RULES, "/home", "301 /");
    check(RULES, "/home/?a=b", "301 /?a=b");
    check(RULES, "/old/a/b%20c", "301 /new/a/b%20c");
    check(RULES, "/old", "301 /new/");
    check(RULES, "/shop?id=7&id=8&x=1", "302 /product/7");
    check(
        RULES,
        "/shop?id=a%2F..%2F%2Fb",
        "302 /product/a%2F..%2F%2Fb",
    );
    check(
        RULES,
        "/shop?x=a%26b+c&page=2",
        "307 /second?y=a%26b%20c#top",
    );
    check(RULES, "/shop?page=3&x=1", "301 /all?page=3&x=1");
    check(RULES, "/news/2026/11/hello", "308! /blog/hello-2026?m=11");
    check(RULES, "/news/2026/11", "");
    check(RULES, "/ext/a?q", "303 https://example.com/e/a?q");
    check(RULES, "/app/deep/er?q", "200 = /app/index.html");
    check(RULES, "/gone/x", "404! = /gone.html");
    check(RULES, "/file?a=x%2Fy", "200 = nothing");
    check(RULES, "/nothing", "");
}

/// A location that begins with two slashes leads to another host, and one that leads back never
/// ends.
#[test]
fn no_rule_leads_astray() {
    check(RULES, "/raw/evil.example/x", "301 /evil.example/x");
    check(RULES, "/raw", "301 /");
    check(RULES, "/self", "");
    check(RULES, "/up/x", "");
    check("/* / 302", "/", "");
    check("/a q=:q /a?q=:q&n=1", "/a?q=x", "");
    check("/a q=:q /a?q=more:q", "/a?q=x", "");
    check("/a /a?x=1", "/a", "");
    check("/a q=1 /a/?q=2#q=1", "/a?q=1", "301 /a/?q=2#q=1");
    check(
        "/* https://other.example/:splat",
        "/%26%3F",
        "301 https://other.example/&%3F",
    );
}

#[test]
fn the_first_rule_counts_whatever_its_kind() {
    let rules = "/a/b /1\n/a/* /2\n/a/c /3\n/a/b /4\n";
    check(rules, "/a/b", "301 /1");
    check(rules, "/a/c", "301 /2");
    let rules = "/a /1\n/a /2 301!\n/b /1 301!\n/b /2\n/c x=1 /1\n/* /2 302!\n";
    check(rules, "/a", "301 /1");
    check(rules, "/b", "301! /1");
    check(rules, "/c?x=1", "301 /1");
    check(rules, "/c", "302! /2");
}

/// What a rule looks at may get another name at the same path.
#[test]
fn a_path_may_lead_to_itself_with_another_query() {
    let rule = "/search q=:q /search?query=:q 302";
    check(rule, "/search?q=x", "302 /search?query=x");
    check(rule, "/search?query=x", "");
}

#[test]
fn mistakes_name_their_line_and_the_fix() {
    for (rules, said) in [
        ("/a", "line 1: it leads nowhere"),
        ("\n/a b", "line 2: `b` must start with /"),
        ("/a id=:id", "it leads nowhere"),
        ("a /b", "`a` is no path"),
        ("/a //b", "another host"),
        ("/a /b 299", "`299` is no status"),
        ("/a /b 410", "`410` is no status"),
        ("/a /b 302 Country=de", "`Country=de`: conditions"),
        ("/a Language=de /b", "`Language=de`: conditions"),
        ("/a /b Role=admin", "`Role=admin`: conditions"),
        ("/a https://api.example/:splat 200", "a proxy's work"),
        (
            "/* https://:splat/ 302",
            "no placeholder before the first /",
        ),
        (
            "/* https://a.example:splat 302",
            "no placeholder before the first /",
        ),
        ("/a https://user@a.example/ 302", "write a host"),
        ("/a ftp://a.example/ 302", "must start with / or https"),
        ("/a /../b", "no path that can be served"),
        ("/a /.git/config 200", "no path that can be served"),
        ("/a /\u{e4}", "percent-encode"),
        ("/:id id=:id /b", "two things are called :id"),
        ("/a id=:1 /b", "`:1` is no name"),
        ("/* id=:splat /b", "choose another name"),
    ] {
        let error = Redirects::parse(rules).unwrap_err();
        assert!(error.contains(said), "{rules:?}: {error}");
    }
}

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "/a",
        "/*",
        "/:b",
        "/c/:splat",
        " ",
        "\n",
        " id=:id",
        " k=v%20w",
        " /to",
        " /to/:id?q=:b#f",
        " https://a.example/:splat",
        " 200",
        " 301!",
        " 404",
        " #",
        "//",
        "?",
        ":",
        "Country=de",
    ]);
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(text in words()) {
        if let Ok(redirects) = Redirects::parse(&text) {
            prop_assert_eq!(Redirects::parse(&redirects.to_string()), Ok(redirects));
        }
    }

    /// Wherever rules of this site lead, it is on this site.
    #[test]
    fn no_request_leads_away(
        text in words(), path in "/[-a./:%2]{0,10}", query in "[=&%/a:id+?]{0,12}",
    ) {
        let local = text.replace("https://a.example", "");
        let (Ok(redirects), Ok(path)) = (Redirects::parse(&local), UrlPath::parse(&path)) else {
            return Ok(());
        };
        if let Some(To::Redirect(_, location)) = redirects.lead(&path, Some(&query)) {
            let location = location.to_str().unwrap();
            let base = url::Url::parse("https://here.example/x/y").unwrap();
            let to = base.join(location).unwrap();
            prop_assert_eq!(to.host_str(), Some("here.example"), "{}", location);
        }
    }

    #[test]
    fn no_text_is_too_odd(text in "(?s).*") {
        let _ = Redirects::parse(&text);
    }
}
