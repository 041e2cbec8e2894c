//! Whether a wire takes what a request asks for, by the wire's own table.
//!
//! Owns which parameters of a request ask for something at all: values that ask for nothing (`n: 1`, a penalty of 0,
//! `parallel_tool_calls: true`) are no reason to refuse. Leaves the tables to the wires.

use crate::conversation::{ChatRequest, Effort, Reasoning, ResponseFormat, ToolChoice};
use crate::wire::{
    Capabilities, Dialect, EncodeError, EncodeOptions, Losses, Support, note_ignored, support,
};
use serde_json::Value;

/// What a wire takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    /// What it does with OpenAI's parameters.
    pub(crate) capabilities: Capabilities,
    /// Its own members that a caller may write beside OpenAI's.
    pub(crate) native: &'static [&'static str],
    /// The dialect whose `native` goes out again, if callers speak it.
    pub(crate) dialect: Option<Dialect>,
}

impl Admission {
    /// Refuses a request with parameters that the wire cannot express, naming them all, unless they may be dropped; and
    /// notes what only another dialect has.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`].
    pub(crate) fn admit(
        self,
        request: &ChatRequest,
        options: &EncodeOptions,
        lost: &mut Losses,
    ) -> Result<(), EncodeError> {
        let refused = |name: &&str| support(self.capabilities, name) == Support::Refuses;
        let is_allowed = |name: &str| options.allowed_params.iter().any(|allowed| allowed == name);
        let in_extra = request.extra.iter().filter(|(name, value)| !self.is_expressed(name, value));
        let params: Vec<String> = asked(request)
            .filter(refused)
            .chain(in_extra.map(|(name, _)| name.as_str()))
            .filter(|name| !is_allowed(name))
            .map(str::to_owned)
            .collect();
        if !params.is_empty() && !options.drop_unsupported {
            return Err(EncodeError::Unsupported { params });
        }
        for name in params {
            lost.note(name);
        }
        let is_sent = |name: &str| is_allowed(name) || self.native.contains(&name);
        note_ignored(self.capabilities, request, is_sent, lost);
        // With one function only, LiteLLM lets it pass, and so do we: agents set it as a matter of course.
        let is_single = request.parallel_tool_calls == Some(false) && request.tools.len() == 1;
        if is_single && refused(&"parallel_tool_calls") {
            lost.note("parallel_tool_calls");
        }
        self.note_tier(request, lost);
        if self.dialect != Some(request.dialect) {
            for name in request.native.keys() {
                lost.note(name.clone());
            }
        }
        Ok(())
    }

    /// A tier is a wish about the price, not about the answer; the usual one is what there is.
    fn note_tier(self, request: &ChatRequest, lost: &mut Losses) {
        let tier = request.extra.get("service_tier").and_then(Value::as_str);
        let is_special = tier.is_some_and(|tier| !matches!(tier, "auto" | "default"));
        if is_special && support(self.capabilities, "service_tier") == Support::Ignores {
            lost.note("service_tier");
        }
    }

    fn is_expressed(self, name: &str, value: &Value) -> bool {
        if value.is_null() || self.native.contains(&name) {
            return true;
        }
        match name {
            // Of tools and their choice, only what has no field: hosted tools, `allowed_tools`.
            "tools" | "tool_choice" => false,
            "modalities" => value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
            _ => support(self.capabilities, name) != Support::Refuses,
        }
    }

    /// The members in the wire's own words: those of a caller who speaks it, and what another wrote beside OpenAI's.
    pub(crate) fn native_members(self, request: &ChatRequest) -> impl Iterator<Item = (&String, &Value)> {
        let own = if self.dialect == Some(request.dialect) { Some(&request.native) } else { None };
        let beside = request.extra.iter().filter(move |(name, _)| self.native.contains(&name.as_str()));
        beside.chain(own.into_iter().flatten()).filter(|(_, value)| !value.is_null())
    }
}

/// Parameters with a field of their own that the request makes use of, in the order of OpenAI's names.
fn asked(request: &ChatRequest) -> impl Iterator<Item = &str> {
    let sampling = &request.sampling;
    let is_penalty = |penalty: Option<f64>| penalty.is_some_and(|value| value != 0.0);
    let is_forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
    let is_single = request.parallel_tool_calls == Some(false) && request.tools.len() > 1;
    let reasons = !matches!(
        request.reasoning,
        None | Some(Reasoning::Disabled | Reasoning::Budget(0) | Reasoning::Effort(Effort::None))
    );
    [
        ("frequency_penalty", is_penalty(sampling.frequency_penalty)),
        ("logit_bias", sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|count| count > 0)),
        ("n", sampling.n.is_some_and(|n| n != 1)),
        ("parallel_tool_calls", is_single),
        ("presence_penalty", is_penalty(sampling.presence_penalty)),
        ("reasoning_effort", reasons),
        ("response_format", !matches!(request.response_format, None | Some(ResponseFormat::Text))),
        ("seed", sampling.seed.is_some()),
        ("stop", !sampling.stop.is_empty()),
        ("tools", !request.tools.is_empty()),
        ("tool_choice", is_forced && !request.tools.is_empty()),
        ("top_k", sampling.top_k.is_some()),
        ("top_p", sampling.top_p.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_asked)| is_asked.then_some(name))
}

/// Values that a wire has no equal for: refused, or left out and noted.
#[derive(Debug)]
pub(crate) struct Bounds<'a> {
    /// Whether they may be left out.
    pub(crate) options: &'a EncodeOptions,
    /// What was.
    pub(crate) lost: &'a mut Losses,
}

impl Bounds<'_> {
    /// The number, if it lies within the bounds, both included.
    ///
    /// # Errors
    /// [`EncodeError::Invalid`] for another, unless it may be dropped.
    pub(crate) fn within(
        &mut self,
        param: &'static str,
        value: Option<f64>,
        (least, most): (f64, f64),
    ) -> Result<Option<f64>, EncodeError> {
        let message = if most < f64::MAX {
            format!("must be from {least} to {most} for this provider")
        } else {
            format!("must be at least {least} for this provider")
        };
        self.keep(param, value, |value| (least..=most).contains(value), &message)
    }

    /// The value, if `is_kept` says so.
    ///
    /// # Errors
    /// As [`Self::within`].
    pub(crate) fn keep<T>(
        &mut self,
        param: &'static str,
        value: Option<T>,
        is_kept: impl FnOnce(&T) -> bool,
        message: &str,
    ) -> Result<Option<T>, EncodeError> {
        match value {
            Some(value) if !is_kept(&value) => self.refuse(param, message.to_owned()).map(|()| None),
            other => Ok(other),
        }
    }

    /// The texts, if there are not too many; else as many of the first as may be.
    ///
    /// # Errors
    /// As [`Self::within`].
    pub(crate) fn texts<'t>(
        &mut self,
        param: &'static str,
        texts: &'t [String],
        most: usize,
    ) -> Result<Vec<&'t str>, EncodeError> {
        let mut kept: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        if kept.len() > most {
            self.refuse(param, format!("must have at most {most} texts for this provider"))?;
            kept.truncate(most);
        }
        Ok(kept)
    }

    fn refuse(&mut self, param: &'static str, message: String) -> Result<(), EncodeError> {
        if !self.options.drop_unsupported {
            return Err(EncodeError::Invalid { param: param.to_owned(), message });
        }
        self.lost.note(param);
        Ok(())
    }
}
