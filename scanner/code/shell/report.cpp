#include "scanner/code/shell/report.hpp"

#include "scanner/code/behaviour/behaviour.hpp"
#include "scanner/code/shell/shell.hpp"
#include "scanner/core/words.hpp"

#include <algorithm>
#include <array>

namespace hubgate::shell {
namespace {

constexpr auto k_malicious = Severity::malicious;
constexpr auto k_suspicious = Severity::suspicious;
constexpr auto k_load = Reach::load;
constexpr std::string_view k_cwe = "CWE-506";
constexpr std::string_view k_atlas = "AML.T0011.000";

// In the order of Effect.
constexpr std::array<Rule, 12> k_rules{{
    {"shell-download-run", "execution", k_malicious, k_load, "CWE-494", k_atlas, "CFG-026 POL-008",
     "commands download something and run it"},
    {"shell-remote-control", "remote-control", k_malicious, k_load, k_cwe, k_atlas,
     "CNT-005 POL-008 CFG-026", "commands give a shell to somebody elsewhere"},
    {"shell-hidden-run", "execution", k_malicious, k_load, k_cwe, k_atlas, "CFG-026 POL-008",
     "commands decode something and run it"},
    {"shell-encoded", "execution", k_malicious, k_load, k_cwe, k_atlas, "CFG-026 POL-008",
     "PowerShell is given a command in base64"},
    {"shell-living-off", "execution", k_malicious, k_load, k_cwe, k_atlas, "CFG-026",
     "a program of the system is used to fetch or run code"},
    {"shell-persistence", "persistence", k_suspicious, k_load, k_cwe, k_atlas, "CFG-026",
     "commands make something run again later"},
    {"shell-theft", "theft", k_malicious, k_load, k_cwe, "AML.T0055", "CNT-007 CFG-026",
     "commands send credentials away"},
    {"shell-destruction", "destruction", k_malicious, k_load, k_cwe, k_atlas, "CFG-026",
     "commands delete what is not their own"},
    {"shell-miner", "execution", k_malicious, k_load, k_cwe, "AML.T0034", "CNT-008 CFG-026",
     "commands mine cryptocurrency"},
    {"shell-evasion", "execution", k_malicious, k_load, k_cwe, k_atlas, "CFG-026",
     "commands turn protection off"},
    {"shell-propagation", "propagation", k_suspicious, k_load, k_cwe, k_atlas, "CNT-006",
     "commands upload to a hub"},
    {"shell-beacon", "reconnaissance", k_suspicious, k_load, k_cwe, k_atlas, "CNT-009",
     "commands call a host that only shows who calls"},
}};

// Lower case; every sign needs one of them.
constexpr std::array<std::string_view, 34> k_words{"curl",
                                                   "wget",
                                                   "/dev/tcp",
                                                   "/dev/udp",
                                                   "powershell",
                                                   "pwsh",
                                                   "certutil",
                                                   "bitsadmin",
                                                   "mshta",
                                                   "regsvr32",
                                                   "rundll32",
                                                   "base64",
                                                   "stratum+",
                                                   "xmrig",
                                                   "mppreference",
                                                   "schtasks",
                                                   "vssadmin",
                                                   "authorized_keys",
                                                   "currentversion\\run",
                                                   "mkfifo",
                                                   "socat",
                                                   "invoke-",
                                                   "downloadstring",
                                                   "xmlhttp",
                                                   "openssl",
                                                   "socket",
                                                   "rm -",
                                                   "crontab",
                                                   "tcpclient",
                                                   "nc ",
                                                   "iwr ",
                                                   "irm ",
                                                   "huggingface-cli",
                                                   "hf upload"};

const WordStarts& word_starts() {
  static const WordStarts starts = [] {
    WordStarts made;
    for (const std::string_view word: k_words)
      made.add(word);
    return made;
  }();
  return starts;
}

} // namespace

std::span<const Rule> shell_rules() {
  return k_rules;
}

namespace {

// Behaviours of the unit as a whole; what a sign says of the same line already is not said twice.
std::size_t report_behaviours(std::string_view text, const Commands& commands,
                              const std::vector<Sign>& signs, Session& session) {
  behaviour::Unit unit(behaviour::UnitKind::shell);
  logical_lines(text, [&](std::string_view line, std::size_t offset) {
    unit.text(line, static_cast<std::uint32_t>(std::min<std::size_t>(offset, ~0U - 1)));
  });
  std::size_t reported = 0;
  for (const behaviour::Hit& hit: unit.hits()) {
    const std::size_t offset = hit.offsets.front();
    const bool said = std::any_of(signs.begin(), signs.end(), [&](const Sign& sign) {
      return sign.offset == offset && !sign.ordinary && class_of(sign.effect) == hit.rule->klass &&
             k_rules[static_cast<std::size_t>(sign.effect)].severity >= hit.rule->severity;
    });
    if (said) continue;
    std::string evidence(commands.title);
    if (!evidence.empty()) evidence += ": ";
    std::string lines;
    std::size_t length = 0;
    for (const std::uint32_t at: hit.offsets) {
      const std::string_view line = text.substr(at, text.find_first_of("\r\n", at) - at);
      if (lines.empty()) length = line.size();
      lines += (lines.empty() ? "" : " ; ") + std::string(line.substr(0, 120));
    }
    session.find(*hit.rule, commands.offset + (commands.verbatim ? offset : 0),
                 commands.verbatim ? length : 0,
                 evidence + std::string(hit.rule->meaning) + ": " + lines,
                 {.severity = commands.loaded ? hit.when_loaded : hit.rule->severity,
                  .condition = commands.condition});
    ++reported;
  }
  return reported;
}

} // namespace

bool may_have_signs(std::string_view text) {
  const WordStarts& starts = word_starts();
  for (std::size_t at = starts.next(text, 0); at != text.npos; at = starts.next(text, at + 1))
    if (std::any_of(k_words.begin(), k_words.end(),
                    [&](std::string_view word) { return word_at(text, at, word); }))
      return true;
  return behaviour::Unit::has_feature(text, behaviour::UnitKind::shell);
}

std::size_t report_shell(std::string_view text, const Commands& commands, Session& session) {
  if (session.showing() && commands.loaded && !commands.prose)
    session.show("command", commands.offset, text);
  std::size_t reported = 0;
  const std::vector<Sign> signs = analyse_shell(text);
  for (const Sign& sign: signs) {
    const Rule& rule = k_rules[static_cast<std::size_t>(sign.effect)];
    std::optional<Severity> severity;
    if (commands.prose) {
      const bool hard = sign.effect == Effect::encoded || sign.effect == Effect::remote_control ||
                        sign.effect == Effect::hidden_run || sign.effect == Effect::living_off ||
                        sign.effect == Effect::evasion;
      if (!hard && !sign.plain_host && !sign.unencrypted) continue;
      // Instructions of years ago fetch their installers without encryption.
      severity = hard || sign.plain_host ? Severity::suspicious : Severity::informational;
    } else if (sign.ordinary) {
      severity = Severity::informational;
    } else if (commands.loaded) {
      severity = Severity::malicious;
    } else if (sign.effect == Effect::propagation) {
      severity = Severity::informational;
    } else if (sign.effect == Effect::download_run && !sign.plain_host) {
      // Scripts that set a machine up fetch installers from named hosts.
      severity = Severity::suspicious;
    }
    std::string evidence(commands.title);
    if (!evidence.empty()) evidence += ": ";
    session.find(rule, commands.offset + (commands.verbatim ? sign.offset : 0),
                 commands.verbatim ? sign.command.size() : 0, evidence + sign.command,
                 {.severity = severity, .condition = commands.condition});
    ++reported;
  }
  // Documentation names these things; only commands do them.
  if (!commands.prose) reported += report_behaviours(text, commands, signs, session);
  return reported;
}

} // namespace hubgate::shell
