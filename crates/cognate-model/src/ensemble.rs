//! Several models as one: the mean of their probabilities.
//!
//! Of probabilities, and not of logits: −log of a mean is at most the mean of −log (Jensen), so the ensemble is never worse than its members
//! are on average.

use cognate_base::Monitor;
use cognate_base::process::check_memory;
use cognate_ops::{Device, Precision};

use crate::{Config, DecodeCache, Decoder, Error, Fed, Feed, Result, ScoreItem, score_tokens};

/// One model or several, asked as one. Of one alone every number has the bits of that model.
pub struct Ensemble<D: Device> {
    members: Vec<Decoder<D>>,
}

/// Keys and values of the sequences being decoded, of each member.
pub struct EnsembleCache<D: Device> {
    caches: Vec<DecodeCache<D>>,
}

impl<D: Device> From<Decoder<D>> for Ensemble<D> {
    fn from(model: Decoder<D>) -> Self {
        Self { members: vec![model] }
    }
}

impl<D: Device> Ensemble<D> {
    /// An ensemble of models of one vocabulary and of as many positions.
    ///
    /// # Errors
    /// When there is none, or they differ in that.
    pub fn new(members: Vec<Decoder<D>>) -> Result<Self> {
        let refused = |field, value: String, reason: &str| Error::Config { field, value, reason: reason.to_owned() };
        let Some(first) = members.first().map(|member| member.config().clone()) else {
            return Err(refused("members", "none".to_owned(), "expected at least one model"));
        };
        for member in &members {
            let config = member.config();
            let of = |config: &Config| format!("{} tokens and {} positions", config.vocab, config.max_positions);
            if of(config) != of(&first) {
                let value = format!("models of {}, and of {}", of(&first), of(config));
                return Err(refused("members", value, "expected models of one vocabulary and of as many positions"));
            }
        }
        Ok(Self { members })
    }

    /// The first member's configuration. All have its vocabulary and its positions.
    pub fn config(&self) -> &Config {
        self.members[0].config()
    }

    /// The members.
    pub fn members(&self) -> &[Decoder<D>] {
        &self.members
    }

    /// The members, to be changed.
    pub fn members_mut(&mut self) -> &mut [Decoder<D>] {
        &mut self.members
    }

    /// What was fed through caches so far, of all members together.
    pub fn fed(&self) -> Fed {
        let mut all = Fed::default();
        for fed in self.members.iter().map(Decoder::fed) {
            all.tokens += fed.tokens;
            all.flops += fed.flops;
        }
        all
    }

    /// −log p, in nats, of each token of each item's continuation, by the first member, the first two, and so on to all of them.
    ///
    /// # Errors
    /// When a token is outside the vocabulary, or the monitor asks to stop.
    pub fn score_tokens(
        &mut self,
        items: &[ScoreItem],
        batch_tokens: usize,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Vec<Vec<f32>>>> {
        let mut by_members: Vec<Vec<Vec<f32>>> = Vec::with_capacity(self.members.len());
        let mut sums: Vec<Vec<f64>> = Vec::new();
        for (at, member) in self.members.iter_mut().enumerate() {
            let losses = score_tokens(member, items, batch_tokens, monitor)?;
            if at == 0 {
                sums = losses.iter().map(|item| item.iter().map(|loss| probability(*loss)).collect()).collect();
                by_members.push(losses);
                continue;
            }
            for (sums, losses) in sums.iter_mut().zip(&losses) {
                for (sum, loss) in sums.iter_mut().zip(losses) {
                    *sum += probability(*loss);
                }
            }
            let members = (at + 1) as f64;
            let mean = |sum: &f64| -(sum / members).ln() as f32;
            by_members.push(sums.iter().map(|item| item.iter().map(mean).collect()).collect());
        }
        Ok(by_members)
    }

    /// A cache of `slots` sequences of up to `capacity` tokens.
    ///
    /// # Errors
    /// When the machine has no memory for it.
    pub fn cache(&self, slots: usize, capacity: usize, precision: Precision) -> Result<EnsembleCache<D>> {
        let caches = self.members.iter().map(|member| DecodeCache::new(member, slots, capacity, precision));
        Ok(EnsembleCache { caches: caches.collect::<Result<_>>()? })
    }

    /// As [`Decoder::advance`]; of several members the logits are the logarithms of their mean probabilities.
    ///
    /// # Errors
    /// As [`Decoder::advance`].
    ///
    /// # Panics
    /// As [`Decoder::advance`].
    pub fn advance<'a>(
        &mut self,
        cache: &mut EnsembleCache<D>,
        work: &[(usize, &'a [u32])],
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        if let ([member], [cache]) = (&mut self.members[..], &mut cache.caches[..]) {
            return member.advance(cache, work, logits);
        }
        let vocab = self.config().vocab;
        let last = |&(slot, tokens): &(usize, &'a [u32])| Feed { slot, tokens, from: tokens.len().saturating_sub(1) };
        let feeds: Vec<Feed<'a>> = work.iter().map(last).collect();
        logits.clear();
        logits.resize(work.len() * vocab, 0.0);
        self.advance_rows(cache, &feeds, &mut |first, rows| {
            logits[first * vocab..first * vocab + rows.len()].copy_from_slice(rows);
        })
    }

    /// As [`Decoder::advance_rows`]; of several members the logits are the logarithms of their mean probabilities.
    ///
    /// # Errors
    /// As [`Decoder::advance_rows`], and when the machine has no memory for the rows.
    ///
    /// # Panics
    /// As [`Decoder::advance_rows`].
    pub fn advance_rows(
        &mut self,
        cache: &mut EnsembleCache<D>,
        work: &[Feed<'_>],
        take: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<()> {
        if let ([member], [cache]) = (&mut self.members[..], &mut cache.caches[..]) {
            return member.advance_rows(cache, work, take);
        }
        let vocab = self.config().vocab;
        let rows: usize = work.iter().map(|feed| feed.tokens.len() - feed.from).sum();
        check_memory("the probabilities of an ensemble", (rows * vocab * size_of::<f32>()) as f64)?;
        // In logarithms: a token that no member expects has a probability that f32 does not hold.
        let mut mean = vec![f32::NEG_INFINITY; rows * vocab];
        for (member, cache) in self.members.iter_mut().zip(&mut cache.caches) {
            member.advance_rows(cache, work, &mut |first, logits| {
                let rows = mean[first * vocab..first * vocab + logits.len()].chunks_exact_mut(vocab);
                rows.zip(logits.chunks_exact(vocab)).for_each(|(mean, logits)| add_probabilities(mean, logits));
            })?;
        }
        let members = (self.members.len() as f32).ln();
        mean.iter_mut().for_each(|log_p| *log_p -= members);
        take(0, &mean);
        Ok(())
    }
}

impl<D: Device> EnsembleCache<D> {
    /// Empties a slot for another sequence.
    pub fn reset(&mut self, slot: usize) {
        self.caches.iter_mut().for_each(|cache| cache.reset(slot));
    }

    /// Forgets what a slot holds behind its first `len` tokens.
    pub fn truncate(&mut self, slot: usize, len: usize) {
        self.caches.iter_mut().for_each(|cache| cache.truncate(slot, len));
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.caches.first().map_or(0, DecodeCache::slots)
    }
}

fn probability(loss: f32) -> f64 {
    (-f64::from(loss)).exp()
}

/// Adds the probabilities of `logits` to those whose logarithms are `log_sum`.
fn add_probabilities(log_sum: &mut [f32], logits: &[f32]) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|z| f64::from((z - top).exp())).sum();
    let log_total = total.ln() as f32;
    for (sum, z) in log_sum.iter_mut().zip(logits) {
        let log_p = (z - top) - log_total;
        let (low, high) = if *sum < log_p { (*sum, log_p) } else { (log_p, *sum) };
        *sum = high + (low - high).exp().ln_1p();
    }
}
