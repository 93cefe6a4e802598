//! In which of its forms a file is sent, and what names each (RFC 9110 sections 3.2, 8.8 and 12).
//!
//! A client that holds any form of what is there now is answered 304, as if that form had been
//! selected: which one is, depends on what has been compressed so far, and that is no reason to
//! send the same file again.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;

use super::conditional::{self, IfRange, Validators, Verdict};
use super::encoding::Accepted;
use super::{Body, Moment, Options, Unencoded, injected, range};
use crate::site::encodings::{self, Attempt, Coding, Encoded, Form, Level};
use crate::site::{Asset, Kind, Page};

/// How long ago a file must have been modified so that its date says strongly which one it is: it
/// may have changed twice in one second (RFC 9110 section 8.8.2.2).
const DATE_STRONG_AFTER: std::time::Duration = std::time::Duration::from_secs(2);

/// A file, as one request may be sent it.
pub(super) struct Representations<'a> {
    asset: &'a Arc<Asset>,
    page: Option<&'a Arc<Page>>,
    /// The tag of the file as it is, that of every other form but for a suffix.
    tag: HeaderValue,
    /// Whether the tag is the one that the page keeps written.
    is_kept: bool,
    accepted: Accepted,
}

/// One form of a file.
#[derive(Debug, Clone)]
pub(super) struct Representation {
    /// `None`: as it is.
    pub(super) coding: Option<Coding>,
    /// Its entity tag.
    pub(super) tag: HeaderValue,
    /// Its bytes.
    pub(super) body: Body,
}

impl<'a> Representations<'a> {
    /// Returns the forms of a file. While the site is edited, the tag of a page names what it needs
    /// as well.
    pub(super) fn new(
        asset: &'a Arc<Asset>,
        page: Option<&'a Arc<Page>>,
        options: Options,
        accepted: Accepted,
    ) -> Self {
        let is_kept = options.live.is_none() || asset.kind != Kind::Page;
        let tag = match page {
            Some(page) if is_kept => page.tag(asset),
            None if is_kept => asset.tag.clone(),
            _ => {
                let version = injected::version(asset, page.map(Arc::as_ref));
                let tag = super::entity_tag(&format!("\"{version}\""));
                if asset.weak {
                    encodings::weak(&tag)
                } else {
                    tag
                }
            }
        };
        Self {
            asset,
            page,
            tag,
            is_kept,
            accepted,
        }
    }

    /// Evaluates the preconditions of a request, and returns the form that they ask for, if any. A
    /// 304 names the form that the client holds.
    pub(super) fn evaluate(&self, headers: &HeaderMap) -> Result<Option<Representation>, Unsent> {
        let validators = Validators {
            is_current: |tag: &[u8]| self.is_current(tag),
            weak: self.asset.weak,
            modified: Some(self.asset.modified),
        };
        match conditional::evaluate(headers, &validators) {
            Verdict::Proceed => match conditional::if_match(headers) {
                None => Ok(None),
                // What is current may not be held any more, or not yet.
                Some(tags) => {
                    let form = tags.into_iter().find_map(|tag| self.named(tag));
                    form.map(Some).ok_or(Unsent::Failed)
                }
            },
            Verdict::Failed => Err(Unsent::Failed),
            Verdict::NotModified(held) => Err(Unsent::NotModified(self.held(held))),
        }
    }

    /// Returns the form to send; `None` if none is taken.
    pub(super) fn select(&self) -> Option<Representation> {
        let encoded = self
            .accepted
            .preferred()
            .find_map(|coding| self.encoded(coding));
        encoded.or_else(|| self.identity())
    }

    /// Returns the form to send parts of, and the field that says which; `None` if the whole is to
    /// be sent. Unless the client says what it has already, that is the file as it is: the other
    /// forms may be made anew between two requests. It is no other form than the one that was asked
    /// for, if any was.
    pub(super) fn select_for_range<'r>(
        &self,
        request: &'r Parts,
        asked_for: Option<&Representation>,
        moment: &Moment,
    ) -> Option<(Representation, &'r HeaderValue)> {
        let field = range::field(request)?;
        let selected = match conditional::if_range(&request.headers) {
            IfRange::Absent => asked_for
                .cloned()
                .or_else(|| self.identity())
                .or_else(|| self.select()),
            IfRange::Tag(tag) => self.named(tag),
            IfRange::Date(date) => self.dated(date, moment),
            IfRange::Never => None,
        };
        let selected = selected.filter(|form| asked_for.is_none_or(|it| it.tag == form.tag));
        Some((selected?, field))
    }

    /// Returns the form to send where nothing may be waited for.
    pub(super) fn select_in_memory(&self) -> Option<Representation> {
        let is_in_memory = |form: &Representation| matches!(form.body, Body::Memory(_));
        self.select()
            .filter(is_in_memory)
            .or_else(|| self.identity().filter(is_in_memory))
    }

    /// Returns the form that the request would like best, if it is not there yet.
    pub(super) fn wanted(&self) -> Option<Unencoded> {
        if !self.asset.can_be_encoded() {
            return None;
        }
        let forms = &self.asset.encodings;
        let coding = self
            .accepted
            .preferred()
            .take_while(|&coding| !forms.is_smaller(coding, Level::Best))
            .find(|&coding| !forms.is_settled(coding, Level::Best))?;
        Some(Unencoded {
            asset: Arc::clone(self.asset),
            coding,
        })
    }

    fn identity(&self) -> Option<Representation> {
        self.accepted.takes_identity().then(|| Representation {
            coding: None,
            tag: self.tag.clone(),
            body: Body::of(self.asset),
        })
    }

    fn encoded(&self, coding: Coding) -> Option<Representation> {
        if !self.accepted.takes(coding) {
            return None;
        }
        let attempt = self.asset.encodings.of(coding)?;
        let Attempt::Smaller(encoded) = attempt.as_ref() else {
            return None;
        };
        Some(Representation {
            coding: Some(coding),
            tag: self.tag_of(coding, encoded),
            body: match &encoded.form {
                Form::Made(_, bytes) => Body::Memory(bytes.clone()),
                Form::Sidecar(sidecar) => Body::of(sidecar),
            },
        })
    }

    /// Returns the tag of an encoded form: written once for each, but while the site is edited.
    fn tag_of(&self, coding: Coding, encoded: &Encoded) -> HeaderValue {
        match self.page {
            Some(page) if self.is_kept => page.encoded_tag(self.asset, coding, encoded),
            None if self.is_kept => encoded.tag.clone(),
            _ => encoded.tag_from(&self.tag),
        }
    }

    /// Returns the form with a tag, if it is there and the tag strong.
    fn named(&self, tag: &[u8]) -> Option<Representation> {
        let forms = Coding::ALL.into_iter().map(|coding| self.encoded(coding));
        let mut forms = forms.chain([self.identity()]).flatten();
        // A weak tag has a prefix, which `tag` has not.
        forms.find(|form| form.tag.as_bytes() == tag)
    }

    /// Returns the file as it is, if a date can only mean that: all forms have the same.
    fn dated(&self, date: std::time::SystemTime, moment: &Moment) -> Option<Representation> {
        let modified = self.asset.modified;
        let is_same = date <= modified && modified < date + std::time::Duration::from_secs(1);
        let age = moment.now.duration_since(modified).unwrap_or_default();
        let is_alone = !self.asset.is_negotiated() || !self.accepted.takes_any();
        let is_strong = !self.asset.weak && age >= DATE_STRONG_AFTER;
        self.identity().filter(|_| is_same && is_alone && is_strong)
    }

    /// Returns whether a tag, without `W/`, names a form of what is there now that the request
    /// takes, whether that form is held here or not.
    fn is_current(&self, tag: &[u8]) -> bool {
        let own = self.tag.as_bytes();
        let own = own.strip_prefix(b"W/").unwrap_or(own);
        let open = own.strip_suffix(b"\"").unwrap_or(own);
        let suffix = tag
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(b"\""));
        let Some(suffix) = suffix else {
            return false;
        };
        if suffix.is_empty() {
            return self.accepted.takes_identity();
        }
        let is_made = |coding: Coding| {
            Level::ALL
                .iter()
                .any(|&level| coding.suffix(level).as_bytes() == suffix)
        };
        let is_beside = |coding: Coding| {
            let attempt = self.asset.encodings.of(coding);
            matches!(attempt.as_deref(), Some(Attempt::Smaller(encoded))
                if encoded.suffix.as_bytes() == suffix)
        };
        Coding::ALL
            .into_iter()
            .filter(|&coding| self.accepted.takes(coding))
            .any(|coding| is_made(coding) || is_beside(coding))
    }

    /// Returns the tag of a 304: of the form that the client holds, else of the one it would get.
    fn held(&self, named: Option<&[u8]>) -> HeaderValue {
        let Some(named) = named else {
            return self
                .select()
                .map_or_else(|| self.tag.clone(), |form| form.tag);
        };
        let tag = HeaderValue::from_bytes(named).unwrap_or_else(|_| self.tag.clone());
        let is_weak = self.asset.weak || {
            let mut forms = Coding::ALL
                .into_iter()
                .filter_map(|coding| self.encoded(coding));
            forms.any(|form| form.tag.as_bytes().strip_prefix(b"W/") == Some(named))
        };
        if is_weak { encodings::weak(&tag) } else { tag }
    }
}

/// Why a file is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The client holds the form with this tag: 304.
    NotModified(HeaderValue),
    /// A precondition failed: 412.
    Failed,
}

impl Representation {
    /// Puts what the form says of itself into a header.
    pub(super) fn describe(&self, headers: &mut HeaderMap) {
        if let Some(coding) = self.coding {
            let name = HeaderValue::from_static(coding.name());
            headers.insert(header::CONTENT_ENCODING, name);
        }
        headers.insert(header::CONTENT_LENGTH, self.body.length().into());
        headers.insert(header::ETAG, self.tag.clone());
    }
}

/// Returns the length of the form of a file that is sent where nothing may be waited for.
pub(super) fn length_in_memory(asset: &Arc<Asset>, accepted: Accepted) -> Option<u64> {
    let forms = Representations::new(asset, None, Options::default(), accepted);
    forms.select_in_memory().map(|form| form.body.length())
}

/// Returns whether a request may refuse files as they are: nothing is refused without a weight.
pub(super) fn refuses_identity(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::ACCEPT_ENCODING).iter();
    fields.any(|field| field.as_bytes().contains(&b';'))
        && !Accepted::read(headers).takes_identity()
}

/// Returns the coding in which a file has to be made before a request that refuses it as it is can
/// be answered; `None` if there is a form that it takes, or none can be made.
pub(super) fn needed(headers: &HeaderMap, asset: &Asset) -> Option<Coding> {
    let accepted = Accepted::read(headers);
    let forms = &asset.encodings;
    let has_one = accepted
        .preferred()
        .any(|coding| forms.is_smaller(coding, Level::Fast));
    if has_one || !asset.can_be_encoded() {
        return None;
    }
    accepted
        .preferred()
        .find(|&coding| !forms.is_settled(coding, Level::Fast))
}
