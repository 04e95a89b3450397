#pragma once
// Jinja2 templates that models carry: chat templates of GGUF, tokenizer_config.json and *.jinja. A
// template is a program that whoever chats with the model runs; llama-cpp-python once ran it
// without a sandbox (CVE-2024-34359). It is parsed into a tree and judged node by node, never
// matched as text, never rendered. README.md lists what is judged.
#include "scanner/core/session.hpp"

#include <span>

namespace hubgate::jinja {

struct TemplateOptions {
  /// What the template is called in evidence: "tokenizer.chat_template". "" = nothing.
  std::string_view name = {};
  /// Where its first byte lies in the stream, and how long it is there; offsets in JSON strings
  /// with escapes are as near as that.
  std::uint64_t offset = 0;
  /// Globs on the file name under which the template is used at all, as in Finding::condition.
  std::string_view condition = {};
  /// True: rendered with a conversation by a model's loader. False: any template (a web page): then
  /// only what no template does honestly is told.
  bool chat = true;
};

/// Parses and judges a template: findings and gaps go to `session`. `text` is UTF-8 as the loader
/// sees it (JSON escapes undone). At most k_max_template bytes; more are a gap.
void analyse_template(Session& session, std::string_view text, const TemplateOptions& options = {});

/// Judges a text that is put in front of a conversation as it stands (a system prompt): hidden
/// instructions, hidden characters, scripts. Part of what analyse_template() does with its texts.
void judge_prompt(Session& session, std::string_view text, const TemplateOptions& options);

/// The rules that analyse_template() reports; part of the table of the format `jinja`.
std::span<const Rule> template_rules();

} // namespace hubgate::jinja
