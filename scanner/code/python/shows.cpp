// What is harmless and still nobody's to run: shows that code can be run here. And hosts that only
// show who calls, what several commands do together, what the output of a command tells.
#include "scanner/code/python/evaluator.hpp"
#include "scanner/code/shell/shell.hpp"

#include <algorithm>
#include <array>

namespace hubgate::python {
namespace {

constexpr std::size_t k_max_history = std::size_t{64} << 10;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

bool contains_any(std::string_view text, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

constexpr std::array<std::string_view, 9> k_boasts{"pwned",   "hacked",     "pwn3d",
                                                   "h4cked",  "rce_proof",  "rce-proof",
                                                   "poc_rce", "malicious_", "exploited"};

} // namespace

void Evaluator::judge_beacon(const Value& value, NodeId at) {
  if (value.kind == Kind::list) {
    for (const Value& part: lists_[value.ref])
      if (part.is_text() && is_collecting_host(raw(part)))
        report(R::beacon, at, &value, "calls a host that only shows who calls");
  } else if (value.is_text() && is_collecting_host(raw(value))) {
    report(R::beacon, at, &value, "calls a host that only shows who calls");
  }
}

// A command, a program or an address that only shows that it could be anything.
void Evaluator::judge_show(const Value& value, NodeId at, bool address) {
  if (!value.is_text()) return;
  const std::string& text = raw(value);
  if (address) {
    const std::string low = lower(text.substr(0, 200));
    if (low.find("youtube.com/watch") != std::string::npos ||
        low.find("youtu.be/") != std::string::npos)
      report(R::proof_of_concept, at, &value, "shows a video to whoever loads it",
             unit_.kind == UnitKind::weights ? Severity::malicious : Severity::suspicious);
    else if (unit_.kind == UnitKind::weights && !uncalled_)
      report(R::proof_of_concept, at, &value, "opens an address in a browser");
    return;
  }
  const shell::Show show = shell::shows(text);
  if (show == shell::Show::none) return;
  const bool weights = unit_.kind == UnitKind::weights;
  // echo and touch are what honest scripts do, too: in weights nothing is.
  if (show == shell::Show::harmless && !weights) return;
  report(R::proof_of_concept, at, &value, "a command that only shows that it can be run",
         weights ? Severity::malicious : Severity::suspicious);
}

// "You have been pwned" in a file.
void Evaluator::judge_note(const std::string& file, const Value& data, NodeId at) {
  const std::string low =
      lower(file.substr(0, 200)) + " " + lower(std::string_view(raw(data)).substr(0, 400));
  const bool boasts = contains_any(low, k_boasts);
  const bool loaded = unit_.kind == UnitKind::weights && !uncalled_ && !data.partial &&
                      file.find(k_hole) == std::string::npos;
  if (loaded || boasts)
    report(R::proof_of_concept, at, &data, "leaves a note in " + file.substr(0, 80),
           unit_.kind == UnitKind::weights ? Severity::malicious : Severity::suspicious);
}

// Keeps a constant command for what it does together with others.
void Evaluator::keep_command(NodeId at, const std::string& command) {
  if (command.empty() || commands_.size() + command.size() > k_max_history ||
      command.find(k_hole) != std::string::npos || commands_.find(command) != std::string::npos)
    return;
  kept_.push_back({commands_.size(), at, uncalled_});
  commands_ += command + "\n";
}

// Commands that are harmless alone: one fetches, one marks, one runs.
void Evaluator::judge_commands() {
  if (kept_.size() < 2) return;
  const bool weights = unit_.kind == UnitKind::weights;
  const auto signs = shell::analyse_shell(commands_);
  for (const shell::Sign& sign: signs) {
    if (sign.effect != shell::Effect::download_run || sign.ordinary) continue;
    const auto after = std::find_if(kept_.begin(), kept_.end(), [&](const KeptCommand& kept) {
      return kept.begin > sign.offset;
    });
    const KeptCommand& kept = *(after - 1);
    // A published tool that a function fetches when it is asked to.
    const bool untrusted = sign.plain_host || sign.unencrypted;
    if (kept.uncalled && !untrusted && !weights) continue;
    report(R::download_run, kept.at, nullptr,
           "commands one after the other download something and run it: " +
               commands_.substr(0, 200),
           weights || untrusted ? std::nullopt : std::optional(Severity::suspicious));
  }
}

// A module that was written before it is imported.
void Evaluator::judge_import(std::string_view module, NodeId at) {
  if (module.empty()) return;
  const std::string file = std::string(module.substr(0, module.find('.'))) + ".py";
  for (const auto& [dropped, labels]: dropped_) {
    if ((labels & (k_net | k_decoded)) == 0 || !dropped.ends_with(file)) continue;
    if (dropped.size() > file.size() && dropped[dropped.size() - file.size() - 1] != '/') continue;
    Value from;
    report(R::download_run, at, &from, "a downloaded module is imported",
           (labels & k_hub) != 0 ? std::optional(Severity::suspicious) : std::nullopt);
  }
}

// What the output of a command tells, for who sends it on.
Labels Evaluator::told(const std::string& command, NodeId at) {
  static constexpr std::array<std::string_view, 5> k_environment{"env", "printenv", "set", "export",
                                                                 "gci env:"};
  static constexpr std::array<std::string_view, 16> k_host_words{
      "whoami",   "uname", "hostname", "ifconfig", "ipconfig", "ip a",     "id", "systeminfo",
      "tasklist", "ps ",   "netstat",  "arp -a",   "lsb_rele", "net user", "ps", "w"};
  Labels out = 0;
  if (std::find(k_environment.begin(), k_environment.end(), command) != k_environment.end())
    out |= k_environ;
  if (is_sensitive_path(command)) out |= k_sensitive;
  for (std::size_t begin_of = 0; begin_of < command.size() && begin_of < 400;) {
    std::size_t end = command.find_first_of(";&|\n", begin_of);
    if (end == std::string::npos) end = command.size();
    std::size_t begin = begin_of;
    while (begin < end && command[begin] == ' ')
      ++begin;
    const std::string_view part = std::string_view(command).substr(begin, end - begin);
    for (const std::string_view word: k_host_words) {
      const bool whole = word.size() < 4 && !word.ends_with(' ');
      if (whole ? part == word : part.starts_with(word)) out |= k_host;
    }
    begin_of = end + 1;
  }
  if ((out & k_host) != 0) {
    note(f_host, tree_[at].begin);
    note(f_user, tree_[at].begin);
    note(f_folder, tree_[at].begin);
  }
  return out;
}

} // namespace hubgate::python
