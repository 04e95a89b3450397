// What a person reads when something is refused or passes with a warning.
#include "policy/gatekeeper.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace hubgate {

std::string plain_ascii(std::string_view raw, std::size_t max) {
  const std::string text = printable(raw, max * 2);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    if (lead < 0x80) {
      out += text[i++];
      continue;
    }
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    std::uint32_t point = lead & (0xffu >> (length + 1));
    for (std::size_t j = 1; j < length && i + j < text.size(); ++j)
      point = point << 6 | (static_cast<std::uint8_t>(text[i + j]) & 0x3f);
    i += length;
    if (point == 0x2026) {
      out += "...";
      continue;
    }
    std::array<char, 16> code{};
    std::snprintf(code.data(), code.size(), "\\u{%x}", point);
    out += code.data();
  }
  if (out.size() > max) {
    out.resize(max > 3 ? max - 3 : 0);
    out += "...";
  }
  return out;
}

namespace {

constexpr std::size_t k_line_max = 400;
constexpr std::size_t k_path_max = 100;
constexpr std::size_t k_rules_max = 80;

// The end of a path says more than its beginning.
std::string short_path(const Context& context, std::size_t max) {
  std::string name = context.path;
  if (name.empty())
    name = context.sha256 ? "object " + hex(*context.sha256).substr(0, 16) : "object";
  std::string out = plain_ascii(name, name.size() * 8 + 8);
  if (out.size() > max) out = "..." + out.substr(out.size() - (max - 3));
  return out;
}

std::string rule_list(const Decision& decision) {
  std::string out;
  for (const auto& blocker: decision.blockers) {
    if (!out.empty()) out += ',';
    out += blocker;
  }
  return plain_ascii(out, out.size() + 8);
}

// How to ask; the command is for whoever may approve.
std::string waiver_command(const Decision& decision, const Context& context) {
  const std::string rules = rule_list(decision);
  if (rules.empty()) return {}; // no waiver would help
  if (context.sha256 && rules.size() <= k_rules_max)
    return "hubgate waiver add " + hex(*context.sha256) + " --rules " + rules + " --reason ...";
  if (context.sha256 && !decision.id.empty())
    return "hubgate waiver add " + decision.id + " --reason ...";
  return {};
}

} // namespace

std::string what_was_found(const Decision& decision) {
  if (decision.finding) {
    std::string out = decision.finding->rule;
    if (!decision.finding->where.empty()) out += " in " + decision.finding->where;
    if (!decision.finding->evidence.empty()) out += ": " + decision.finding->evidence;
    return out;
  }
  if (decision.gap) {
    std::string out = "not readable to its end (" + std::string(to_string(decision.gap->reason));
    if (!decision.gap->where.empty()) out += " in " + decision.gap->where;
    out += ")";
    if (!decision.gap->detail.empty()) out += ": " + decision.gap->detail;
    return out;
  }
  return {};
}

std::string refusal_line(const Decision& decision, const Context& context) {
  std::string tail = " [policy rule " + plain_ascii(decision.rule, 64) + "]";
  const std::string command = waiver_command(decision, context);
  if (!command.empty()) tail += " ask your security team for a waiver: " + command;
  if (!decision.id.empty()) tail += "; ref " + decision.id;

  std::string out = "hubgate: ";
  out += decision.action == Action::quarantine ? "quarantined " : "blocked ";
  // Long rule lists leave less for the path; it always keeps its last characters.
  const std::size_t fixed = out.size() + tail.size();
  const std::size_t room = fixed + 60 < k_line_max ? k_line_max - fixed : 60;
  out += short_path(context, std::min(k_path_max, room / 2)) + ": ";
  const std::size_t used = out.size() + tail.size();
  std::string what = what_was_found(decision);
  if (what.empty()) what = decision.reason;
  out += plain_ascii(what, used < k_line_max ? std::max<std::size_t>(k_line_max - used, 24) : 24);
  out += tail;
  if (out.size() > k_line_max) out.resize(k_line_max);
  return out;
}

std::string annotation_line(const Decision& decision, const Context& context) {
  std::string tail = " [policy rule " + plain_ascii(decision.rule, 64) + "]";
  if (decision.waiver) tail += " passes by waiver " + std::to_string(*decision.waiver);
  if (!decision.id.empty()) tail += "; ref " + decision.id;
  std::string out = "hubgate: warning: " + short_path(context, k_path_max) + ": ";
  const std::size_t used = out.size() + tail.size();
  std::string what = what_was_found(decision);
  if (what.empty()) what = decision.reason;
  out += plain_ascii(what, used < k_line_max ? k_line_max - used : 24);
  return out + tail;
}

} // namespace hubgate
