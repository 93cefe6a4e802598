//! One request through both doors: what HTTP/2 and HTTP/1.1 answer must be the same.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::client::Ask;
use crate::world::World;

/// What both doors have answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Told {
    /// Returns a header's values as one; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
        values.join(", ")
    }
}

/// Asks for a path over HTTP/2 and HTTP/1.1.
pub(crate) async fn get(world: &mut World, target: &str, headers: &[(&'static str, &str)]) -> Told {
    ask(world, "GET", target, headers).await
}

/// Makes a request over HTTP/2 and HTTP/1.1, and returns what both answer.
pub(crate) async fn ask(
    world: &mut World,
    method: &str,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Told {
    let over_h2 = world
        .ask(Ask::method(method, target).headers(headers))
        .await;
    let answer = over_h2.answer();
    let mut told = Told {
        status: answer.status.as_u16(),
        headers: answer.headers.clone(),
        body: answer.body.to_vec(),
    };
    let mut over_h1 = ask_h1(world, method, target, headers).await;
    for headers in [&mut told.headers, &mut over_h1.headers] {
        // What is sent ahead differs, and HTTP/1.1 may say how long it goes on.
        for name in ["link", "connection"] {
            headers.remove(name);
        }
    }
    let what = format!("{method} {target} {headers:?}");
    assert_eq!(over_h1.status, told.status, "{what}");
    assert_eq!(over_h1.headers, told.headers, "{what}");
    assert!(over_h1.body == told.body, "{what}: the bodies differ");
    told
}

/// Makes a request over HTTP/1.1.
pub(crate) async fn ask_h1(
    world: &mut World,
    method: &str,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Told {
    let fields = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let fields = fields.collect::<Vec<_>>().concat();
    let said = world
        .say_bytes(&format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"
        ))
        .await;
    let end = said
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = std::str::from_utf8(&said[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    Told {
        status: status.parse().unwrap(),
        headers: fields.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        }),
        body: said[end + 4..].to_vec(),
    }
}
