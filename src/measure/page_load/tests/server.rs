//! A server that does what a script says, one line for each path:
//!
//! ```text
//! / : promise /a.css | 103 </b.js>; rel=preload; as=script | 200 text/html | + style /a.css | end
//! push /a.css : wait 50 | 200 text/css | fill 100 | reset
//! ```
//!
//! A route with an `etag` answers 304 to who holds it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::server::{SendPushedResponse, SendResponse};
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderName, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::sleep;

pub(super) struct Server {
    routes: BTreeMap<String, Vec<String>>,
    /// What was asked for, and the headers that differ from request to request.
    pub(super) asked: RefCell<Vec<String>>,
    /// Requests that it takes at once.
    pub(super) streams_max: u32,
    goes_away: Notify,
    drops: Notify,
}

enum Way {
    Asked(SendResponse<Bytes>),
    Pushed(SendPushedResponse<Bytes>),
}

impl Server {
    pub(super) fn new(script: &str) -> Self {
        let lines = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let routes = lines.map(|line| {
            let (path, steps) = line.split_once(" : ").unwrap();
            let steps = steps.split('|').map(|step| step.trim().to_owned());
            (path.trim().to_owned(), steps.collect())
        });
        Self {
            routes: routes.collect(),
            asked: RefCell::default(),
            streams_max: 100,
            goes_away: Notify::new(),
            drops: Notify::new(),
        }
    }

    /// Serves one connection until it is dropped by the script.
    pub(super) async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(self.streams_max);
        let mut connection = settings.handshake(stream).await.unwrap();
        let mut answers = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, response))) => answers.push(self.answer(request, response)),
                    _ => std::future::pending().await,
                },
                Some(()) = answers.next() => {}
                () = self.goes_away.notified() => connection.graceful_shutdown(),
                () = self.drops.notified() => {
                    drop(connection);
                    return;
                }
            }
        }
    }

    async fn answer(&self, request: Request<h2::RecvStream>, response: SendResponse<Bytes>) {
        let path = request.uri().path().to_owned();
        let mut line = path.clone();
        for name in ["if-none-match", "if-modified-since", "priority"] {
            if let Some(value) = request.headers().get(name) {
                write!(line, " {name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        self.asked.borrow_mut().push(line);
        let steps = self.routes.get(&path).cloned();
        let steps = steps.unwrap_or_else(|| vec!["404 text/plain".into(), "end".into()]);
        self.play(request.headers(), Way::Asked(response), steps)
            .await;
    }

    async fn play(&self, request: &HeaderMap, mut way: Way, steps: Vec<String>) {
        let mut headers = HeaderMap::new();
        let mut body: Option<SendStream<Bytes>> = None;
        let mut promised = FuturesUnordered::new();
        for step in steps {
            let (word, rest) = step.split_once(' ').unwrap_or((&step, ""));
            match (word, &mut way) {
                ("wait", _) => {
                    let until = sleep(Duration::from_millis(rest.parse().unwrap()));
                    tokio::pin!(until);
                    loop {
                        tokio::select! {
                            biased;
                            () = &mut until => break,
                            Some(()) = promised.next() => {}
                        }
                    }
                }
                ("header", _) => {
                    let (name, value) = rest.split_once(": ").unwrap();
                    let name: HeaderName = name.parse().unwrap();
                    headers.append(name, value.parse().unwrap());
                }
                ("promise", Way::Asked(response)) => {
                    let mut request = Request::new(());
                    *request.uri_mut() = format!("https://localhost{rest}").parse().unwrap();
                    let Ok(pushed) = response.push_request(request) else {
                        continue;
                    };
                    let steps = self.routes.get(&format!("push {rest}")).unwrap().clone();
                    promised.push(Box::pin(self.pushed(pushed, steps)));
                }
                ("103", Way::Asked(response)) => {
                    let mut hint = Response::new(());
                    *hint.status_mut() = 103.try_into().unwrap();
                    hint.headers_mut().insert("link", rest.parse().unwrap());
                    response.send_informational(hint).unwrap();
                }
                ("+", _) => {
                    let text = Bytes::from(format!("{rest}\n"));
                    let _ = body.as_mut().unwrap().send_data(text, false);
                }
                ("fill", _) => {
                    let bytes = vec![b'-'; rest.parse().unwrap()];
                    let _ = body.as_mut().unwrap().send_data(bytes.into(), false);
                }
                // A line and filler in one frame.
                ("page", _) => {
                    let (length, line) = rest.split_once(' ').unwrap();
                    let text = format!("{line}\n{}", "-".repeat(length.parse().unwrap()));
                    let _ = body.as_mut().unwrap().send_data(text.into(), false);
                }
                ("end", _) => {
                    let _ = body.as_mut().unwrap().send_data(Bytes::new(), true);
                }
                ("reset", Way::Asked(response)) => response.send_reset(Reason::INTERNAL_ERROR),
                ("reset", Way::Pushed(response)) => response.send_reset(Reason::INTERNAL_ERROR),
                ("goaway", _) => self.goes_away.notify_one(),
                ("drop", _) => self.drops.notify_one(),
                ("hang", _) => std::future::pending().await,
                (status, way) => {
                    let tag = request.get("if-none-match");
                    let same = tag.is_some() && tag == headers.get("etag");
                    let status = if same { "304" } else { status };
                    headers.insert("content-type", rest.parse().unwrap());
                    let mut head = Response::new(());
                    *head.status_mut() = status.parse().unwrap();
                    *head.headers_mut() = headers.clone();
                    let sent = match way {
                        Way::Asked(response) => response.send_response(head, same),
                        Way::Pushed(response) => response.send_response(head, same),
                    };
                    body = Some(sent.unwrap());
                    if same {
                        break;
                    }
                }
            }
        }
        while promised.next().await.is_some() {}
    }

    async fn pushed(&self, response: SendPushedResponse<Bytes>, steps: Vec<String>) {
        Box::pin(self.play(&HeaderMap::new(), Way::Pushed(response), steps)).await;
    }
}
