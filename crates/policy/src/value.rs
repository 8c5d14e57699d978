//! Values of keys: sizes, durations, words that are near to others.

/// What is wrong with a value, before it is known where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// One line, lower case, without a full stop.
    pub message: String,
    /// What is said beside the caret.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

impl Complaint {
    /// A complaint with something to say beside the caret.
    pub fn new(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { message: message.into(), label: label.into(), help: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A size in bytes: digits, then nothing, `K`, `M`, `G` or `T` (powers of 1024). Between 1 and
/// 2⁶³-1.
///
/// # Errors
/// Anything else.
pub fn size(text: &str) -> Result<u64, Complaint> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        Some(b'T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let wrong = || {
        Complaint::new(format!("`{text}` is no size"), "not a size")
            .help("write bytes, or a number with K, M, G or T, such as `512M`")
    };
    let number = number(digits).ok_or_else(wrong)?;
    number
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes <= i64::MAX.unsigned_abs())
        .ok_or_else(|| Complaint::new(format!("`{text}` is too large"), "too large"))
        .and_then(positive)
}

/// A number that may not be zero.
///
/// # Errors
/// Zero.
pub fn positive(number: u64) -> Result<u64, Complaint> {
    if number == 0 {
        return Err(Complaint::new("a limit of 0 lets nothing run", "must be at least 1"));
    }
    Ok(number)
}

/// A duration in seconds: numbers with `d`, `h`, `m` and `s`, each at most once and in this order.
/// Between one second and a year.
///
/// # Errors
/// Anything else.
pub fn duration(text: &str) -> Result<u64, Complaint> {
    let wrong = || {
        Complaint::new(format!("`{text}` is no duration"), "not a duration")
            .help("write numbers with d, h, m and s, such as `10m` or `1h30m`")
    };
    let units = [('d', 86400), ('h', 3600), ('m', 60), ('s', 1)];
    let (mut total, mut rest, mut from) = (0u64, text, 0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let unit = rest[end..].chars().next().ok_or_else(wrong)?;
        let index = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if index < from {
            return Err(wrong());
        }
        let amount = number(&rest[..end]).ok_or_else(wrong)?;
        total = total.saturating_add(amount.saturating_mul(units[index].1));
        from = index + 1;
        rest = &rest[end + unit.len_utf8()..];
    }
    if text.is_empty() {
        return Err(wrong());
    }
    seconds(total)
}

/// Seconds that a run may last.
///
/// # Errors
/// Zero, or more than a year.
pub fn seconds(seconds: u64) -> Result<u64, Complaint> {
    if seconds > 366 * 86400 {
        return Err(Complaint::new("a time of more than a year is none", "too long")
            .help("leave `time` out for no limit"));
    }
    positive(seconds)
}

/// A number in plain digits; none for anything else.
pub fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The one of some words that was probably meant.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    if word.is_empty() || word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let known: Vec<&str> = known.into_iter().collect();
    let allowed = (word.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
        .or_else(|| {
            let begins = |candidate: &&&str| word.len() > 2 && candidate.starts_with(&word);
            known.iter().find(begins).copied()
        })
}

/// How many characters have to be added, removed, replaced or swapped with a neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = usize::from(a[i - 1] != b[j - 1]);
                let mut least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                least = least.min(rows[i - 1][j - 1] + same);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}
