//! The forms in which a commit is shown: git's named ones, and templates with placeholders.

use std::fmt::Write;
use std::str::FromStr;

use anstyle::{AnsiColor, Color, Style};
use dits_core::commit::Commit;
use dits_core::object::CommitId;
use dits_core::repo::Repository;
use dits_core::signature::Signature;

use super::decorate::Decorations;
use crate::date::{DateStyle, Moment};
use crate::error::CliError;
use crate::output::Output;
use crate::output::color::COMMIT;

/// A form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Format {
    /// Short id and subject.
    Oneline,
    /// Author and subject.
    Short,
    /// Author, date and message.
    #[default]
    Medium,
    /// Author, committer and message.
    Full,
    /// Author and committer with dates, and message.
    Fuller,
    /// A template; `true` if every commit ends in a line break, else they only stand between commits.
    Template(String, bool),
}

impl FromStr for Format {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        Ok(match text {
            "oneline" => Self::Oneline,
            "short" => Self::Short,
            "medium" => Self::Medium,
            "full" => Self::Full,
            "fuller" => Self::Fuller,
            _ => match (text.strip_prefix("format:"), text.strip_prefix("tformat:")) {
                (Some(template), _) => Self::Template(template.to_owned(), false),
                (_, Some(template)) => Self::Template(template.to_owned(), true),
                _ if text.contains('%') => Self::Template(text.to_owned(), true),
                _ => {
                    let message = format!("`{text}` is not a format");
                    let hint = "use oneline, short, medium, full, fuller or a template: --format='%h %an %s'";
                    return Err(CliError::usage(message).hint(hint));
                }
            },
        })
    }
}

impl Format {
    /// Whether an empty line stands between commits.
    #[must_use]
    pub fn is_spaced(&self) -> bool {
        !matches!(self, Self::Oneline | Self::Template(..))
    }
}

/// What is needed to show commits.
pub struct Formatter<'a> {
    /// For short ids.
    pub repo: &'a Repository,
    /// For colours.
    pub out: &'a Output,
    /// The form.
    pub format: Format,
    /// How dates look.
    pub date: DateStyle,
    /// What relative dates count from.
    pub now: Moment,
    /// Refs, as `%d` shows them; beside ids only if `decorate`.
    pub decorations: Decorations,
    /// Whether refs stand beside ids.
    pub decorate: bool,
    /// Whether ids are abbreviated in the forms that show them whole.
    pub abbrev: bool,
}

fn moment(signature: &Signature) -> Moment {
    Moment { seconds: signature.time, offset: signature.offset }
}

/// The first paragraph of a message on one line.
#[must_use]
pub fn subject(message: &str) -> String {
    let lines = message.trim_start_matches('\n').lines().take_while(|line| !line.trim().is_empty());
    lines.map(str::trim_end).collect::<Vec<_>>().join(" ")
}

/// What follows the subject.
#[must_use]
pub fn body(message: &str) -> &str {
    let message = message.trim_start_matches('\n');
    let end = message.find("\n\n").map_or(message.len(), |at| at + 2);
    message[end..].trim_start_matches('\n')
}

impl Formatter<'_> {
    /// The commit without its changes; ends in a line break unless a template does not want one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn text(&self, id: CommitId, commit: &Commit) -> Result<String, CliError> {
        if let Format::Template(template, terminated) = &self.format {
            let mut text = self.expand(template, id, commit)?;
            if *terminated {
                text.push('\n');
            }
            return Ok(text);
        }
        let short = || self.repo.short_id(id.digest());
        let shown = if self.abbrev { short()? } else { id.to_string() };
        let refs = if self.decorate { self.decorations.text(id, self.out) } else { String::new() };
        if self.format == Format::Oneline {
            return Ok(format!("{}{refs} {}\n", self.out.paint(COMMIT, shown), subject(&commit.message)));
        }
        let mut text = format!("{}{refs}\n", self.out.paint(COMMIT, format!("commit {shown}")));
        if commit.parents.len() > 1 {
            text.push_str(&format!("Merge: {}\n", self.parents(commit, true)?));
        }
        self.people(commit, &mut text);
        text.push('\n');
        let message = match self.format {
            Format::Short => subject(&commit.message),
            _ => commit.message.trim_end().to_owned(),
        };
        for line in message.lines() {
            text.push_str(&if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") });
        }
        Ok(text)
    }

    fn people(&self, commit: &Commit, text: &mut String) {
        let (author, committer) = (&commit.author, &commit.committer);
        let person = |who: &Signature| format!("{} <{}>", who.name, who.email);
        let date = |who: &Signature| moment(who).format(self.date, self.now);
        let mut line = |label: &str, value: String| text.push_str(&format!("{label:<8}{value}\n"));
        match self.format {
            Format::Fuller => {
                let mut line = |label: &str, value: String| text.push_str(&format!("{label:<12}{value}\n"));
                line("Author:", person(author));
                line("AuthorDate:", date(author));
                line("Commit:", person(committer));
                line("CommitDate:", date(committer));
            }
            Format::Full => {
                line("Author:", person(author));
                line("Commit:", person(committer));
            }
            Format::Short => line("Author:", person(author)),
            _ => {
                line("Author:", person(author));
                line("Date:", date(author));
            }
        }
    }

    fn parents(&self, commit: &Commit, short: bool) -> Result<String, CliError> {
        let mut names = Vec::new();
        for parent in &commit.parents {
            names.push(if short { self.repo.short_id(parent.digest())? } else { parent.to_string() });
        }
        Ok(names.join(" "))
    }

    fn expand(&self, template: &str, id: CommitId, commit: &Commit) -> Result<String, CliError> {
        let mut text = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('%') {
            text.push_str(&rest[..at]);
            let code = &rest[at + 1..];
            rest = match self.placeholder(code, id, commit, &mut text)? {
                Some(length) => &code[length..],
                None => {
                    text.push('%');
                    code
                }
            };
        }
        text.push_str(rest);
        Ok(text)
    }

    /// Expands the placeholder that `code` begins with; returns its length, or `None` if there is none like it.
    fn placeholder(
        &self,
        code: &str,
        id: CommitId,
        commit: &Commit,
        text: &mut String,
    ) -> Result<Option<usize>, CliError> {
        let one = code.chars().next().unwrap_or(' ');
        match one {
            'H' => text.push_str(&id.to_string()),
            'h' => text.push_str(&self.repo.short_id(id.digest())?),
            'T' => text.push_str(&commit.tree.to_string()),
            't' => text.push_str(&self.repo.short_id(commit.tree.digest())?),
            'P' => text.push_str(&self.parents(commit, false)?),
            'p' => text.push_str(&self.parents(commit, true)?),
            's' => text.push_str(&subject(&commit.message)),
            'b' => text.push_str(body(&commit.message)),
            'B' => text.push_str(&commit.message),
            'd' => text.push_str(&self.decorations.text(id, self.out)),
            'D' => text.push_str(&self.decorations.names(id).join(", ")),
            'n' => text.push('\n'),
            '%' => text.push('%'),
            'a' | 'c' => return Ok(self.person(code, commit, text)),
            'C' => return Ok(self.color(&code[1..], text).map(|length| length + 1)),
            'x' => return Ok(byte(&code[1..], text)),
            _ => return Ok(None),
        }
        Ok(Some(1))
    }

    fn person(&self, code: &str, commit: &Commit, text: &mut String) -> Option<usize> {
        let who = if code.starts_with('a') { &commit.author } else { &commit.committer };
        let date = |style| moment(who).format(style, self.now);
        let shown = match code.chars().nth(1)? {
            'n' => who.name.clone(),
            'e' => who.email.clone(),
            'd' => date(self.date),
            'r' => date(DateStyle::Relative),
            't' => date(DateStyle::Unix),
            'i' => date(DateStyle::Iso),
            'I' => date(DateStyle::IsoStrict),
            'D' => date(DateStyle::Rfc),
            's' => date(DateStyle::Short),
            _ => return None,
        };
        text.push_str(&shown);
        Some(2)
    }

    /// `%Cred`, `%C(bold blue)`, `%Creset`; they say nothing where there are no colours.
    fn color(&self, code: &str, text: &mut String) -> Option<usize> {
        let (name, length) = match code.strip_prefix('(') {
            Some(inner) => inner.split_once(')').map(|(name, _)| (name, name.len() + 2))?,
            None => ["reset", "red", "green", "blue"]
                .into_iter()
                .find(|name| code.starts_with(name))
                .map(|n| (n, n.len()))?,
        };
        let style = parse_style(name)?;
        if self.out.color() {
            let _ = match style {
                Some(style) => write!(text, "{style}"),
                None => write!(text, "{}", anstyle::Reset),
            };
        }
        Some(length)
    }
}

/// The style that a colour's name means; inner `None` is a reset.
fn parse_style(name: &str) -> Option<Option<Style>> {
    let mut style = Style::new();
    for word in name.trim_start_matches("auto,").split_whitespace() {
        let color = match word {
            "reset" => return Some(None),
            "auto" => continue,
            "bold" => {
                style = style.bold();
                continue;
            }
            "dim" => {
                style = style.dimmed();
                continue;
            }
            "black" => AnsiColor::Black,
            "red" => AnsiColor::Red,
            "green" => AnsiColor::Green,
            "yellow" => AnsiColor::Yellow,
            "blue" => AnsiColor::Blue,
            "magenta" => AnsiColor::Magenta,
            "cyan" => AnsiColor::Cyan,
            "white" => AnsiColor::White,
            _ => return None,
        };
        style = style.fg_color(Some(Color::Ansi(color)));
    }
    Some(Some(style))
}

/// `%x09`: a character by its number.
fn byte(digits: &str, text: &mut String) -> Option<usize> {
    let number = u8::from_str_radix(digits.get(..2)?, 16).ok()?;
    text.push(char::from(number));
    Some(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_subject_and_a_body() {
        assert_eq!(subject("One\ntwo\n\nthree\n"), "One two");
        assert_eq!(body("One\ntwo\n\nthree\nfour\n"), "three\nfour\n");
        assert_eq!((subject(""), body("One")), (String::new(), ""));
    }

    #[test]
    fn formats_by_name_and_template() {
        assert_eq!("fuller".parse::<Format>(), Ok(Format::Fuller));
        assert_eq!("format:%h".parse::<Format>(), Ok(Format::Template("%h".to_owned(), false)));
        assert_eq!("%h %s".parse::<Format>(), Ok(Format::Template("%h %s".to_owned(), true)));
        assert!("pretty".parse::<Format>().is_err());
    }

    #[test]
    fn colours_are_named() {
        assert_eq!(parse_style("reset"), Some(None));
        assert!(parse_style("bold blue").is_some_and(|style| style.is_some()));
        assert_eq!(parse_style("bleu"), None);
    }
}
