//! The thread that scrapes the cluster: once for all clients that ask in the meantime.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::oneshot;

use super::negotiate::Variant;

/// Scrapes a cluster.
pub trait Scraper {
    /// One scrape: the metrics, and the page where it is wanted.
    fn scrape(&mut self, wants_page: bool) -> Scraped;

    /// Whether the cluster answers, and if not, why.
    ///
    /// # Errors
    /// The reason.
    fn ready(&mut self) -> Result<(), String>;
}

/// What a scrape has brought.
#[derive(Clone, Debug)]
pub struct Scraped {
    /// Text of Prometheus, 0.0.4.
    pub metrics: Vec<u8>,
    pub page: Vec<u8>,
    /// Whether the cluster answered, and if not, why.
    pub ready: Result<(), String>,
}

/// A client that waits for an answer.
pub(super) enum ScrapeRequest {
    Metrics(Variant, oneshot::Sender<ScrapeResponse>),
    Page(oneshot::Sender<ScrapeResponse>),
    Ready(oneshot::Sender<Result<(), String>>),
}

/// An answer, and of which look it is.
#[derive(Clone, Debug)]
pub(super) struct ScrapeResponse {
    pub(super) scrape: u64,
    pub(super) bytes: Bytes,
}

/// Answers until nobody can ask any more.
pub(super) fn answer(scraper: &mut dyn Scraper, asked: &Receiver<ScrapeRequest>) {
    let mut scrape = 0;
    while let Ok(first) = asked.recv() {
        let mut waiting = vec![first];
        waiting.extend(asked.try_iter());
        let is_scrape = |ask: &ScrapeRequest| !matches!(ask, ScrapeRequest::Ready(_));
        if waiting.iter().any(is_scrape) {
            scrape += 1;
            let wants_page = waiting
                .iter()
                .any(|ask| matches!(ask, ScrapeRequest::Page(_)));
            let found = scraper.scrape(wants_page);
            // Whoever came meanwhile has the same answer, unless it is not among them.
            let (late, other): (Vec<ScrapeRequest>, Vec<ScrapeRequest>) = asked
                .try_iter()
                .partition(|ask| wants_page || !matches!(ask, ScrapeRequest::Page(_)));
            waiting.extend(late);
            hand_out(scrape, &found, waiting);
            if !other.is_empty() {
                scrape += 1;
                hand_out(scrape, &scraper.scrape(true), other);
            }
        } else {
            let ready = scraper.ready();
            for ask in waiting {
                if let ScrapeRequest::Ready(answer) = ask {
                    // Who does not wait any more misses nothing.
                    let _ = answer.send(ready.clone());
                }
            }
        }
    }
}

fn hand_out(scrape: u64, scraped: &Scraped, waiting: Vec<ScrapeRequest>) {
    let mut written: HashMap<Variant, Bytes> = HashMap::new();
    let page = Bytes::copy_from_slice(&scraped.page);
    for ask in waiting {
        let _ = match ask {
            ScrapeRequest::Metrics(variant, answer) => {
                let bytes = written
                    .entry(variant)
                    .or_insert_with(|| write(&scraped.metrics, variant).into())
                    .clone();
                answer.send(ScrapeResponse { scrape, bytes }).is_ok()
            }
            ScrapeRequest::Page(answer) => {
                let bytes = page.clone();
                answer.send(ScrapeResponse { scrape, bytes }).is_ok()
            }
            ScrapeRequest::Ready(answer) => answer.send(scraped.ready.clone()).is_ok(),
        };
    }
}

/// The metrics as somebody wants them. Gauges are the same in OpenMetrics, which has an end.
fn write(metrics: &[u8], variant: Variant) -> Vec<u8> {
    const END: &[u8] = b"# EOF\n";
    let end = if variant.is_openmetrics { END } else { b"" };
    if !variant.is_gzip {
        return [metrics, end].concat();
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    // A vector takes everything.
    let _ = gzip.write_all(metrics).and_then(|()| gzip.write_all(end));
    gzip.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::mpsc;

    use super::*;

    #[derive(Default)]
    struct Counting {
        scrapes: usize,
        calls: usize,
    }

    impl Scraper for Counting {
        fn scrape(&mut self, wants_page: bool) -> Scraped {
            self.scrapes += 1;
            Scraped {
                metrics: format!("looks {}\n", self.scrapes).into_bytes(),
                page: if wants_page {
                    b"page".to_vec()
                } else {
                    Vec::new()
                },
                ready: Ok(()),
            }
        }

        fn ready(&mut self) -> Result<(), String> {
            self.calls += 1;
            Err("nobody".to_owned())
        }
    }

    const PLAIN: Variant = Variant {
        is_openmetrics: false,
        is_gzip: false,
    };

    #[test]
    fn who_asks_together_shares_a_look() {
        let (asks, asked) = mpsc::channel();
        let mut answers = Vec::new();
        for _ in 0..3 {
            let (answer, answered) = oneshot::channel();
            asks.send(ScrapeRequest::Metrics(PLAIN, answer)).unwrap();
            answers.push(answered);
        }
        let (answer, mut page) = oneshot::channel();
        asks.send(ScrapeRequest::Page(answer)).unwrap();
        let (answer, mut ready) = oneshot::channel();
        asks.send(ScrapeRequest::Ready(answer)).unwrap();
        drop(asks);
        let mut scraper = Counting::default();
        super::answer(&mut scraper, &asked);
        assert_eq!((scraper.scrapes, scraper.calls), (1, 0));
        for mut answered in answers {
            assert_eq!(&answered.try_recv().unwrap().bytes[..], b"looks 1\n");
        }
        assert_eq!(&page.try_recv().unwrap().bytes[..], b"page");
        assert_eq!(ready.try_recv().unwrap(), Ok(()), "the scrape has answered");
    }

    #[test]
    fn who_asks_only_whether_it_is_ready_costs_no_look() {
        let (asks, asked) = mpsc::channel();
        let (answer, mut ready) = oneshot::channel();
        asks.send(ScrapeRequest::Ready(answer)).unwrap();
        drop(asks);
        let mut scraper = Counting::default();
        super::answer(&mut scraper, &asked);
        assert_eq!((scraper.scrapes, scraper.calls), (0, 1));
        assert_eq!(ready.try_recv().unwrap(), Err("nobody".to_owned()));
    }

    #[test]
    fn a_variant_has_its_end_and_is_compressed() {
        let variant = |is_openmetrics, is_gzip| Variant {
            is_openmetrics,
            is_gzip,
        };
        assert_eq!(write(b"a 1\n", PLAIN), b"a 1\n");
        assert_eq!(write(b"a 1\n", variant(true, false)), b"a 1\n# EOF\n");
        let packed = write(b"a 1\n", variant(true, true));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "a 1\n# EOF\n");
    }
}
