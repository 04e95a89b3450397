#include "policy/git/answer.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace hubgate {
namespace {

/// Items told in full, and in a line each, where there is room.
constexpr std::size_t k_full = 2;
constexpr std::size_t k_short = 4;
constexpr std::size_t k_message_lines = 4;
constexpr std::string_view k_mark = "hubgate: ";
constexpr std::array<std::string_view, 6> k_link_fields{"reference", "sha256", "rules",
                                                        "repo",      "path",   "user"};

using Lines = std::vector<std::string>;

/// Lines of at most a screen's width. A text that is longer goes on below itself.
class Block {
public:
  /// "  name:     text", in at most `most` lines; what is left over ends in "...".
  void field(std::string_view name, std::string_view text, std::size_t most) {
    std::string head = "  " + std::string(name);
    head.resize(std::max<std::size_t>(head.size(), 13), ' ');
    wrap(head, text, most);
  }
  /// A line that somebody copies: never broken, however long.
  void whole(std::string_view name, std::string_view text) {
    std::string head = "  " + std::string(name);
    head.resize(std::max<std::size_t>(head.size(), 13), ' ');
    lines_.push_back(head + plain_ascii(text, 1000));
  }
  void wrap(const std::string& head, std::string_view text, std::size_t most) {
    const std::size_t width = k_screen_columns - k_mark.size() - head.size();
    std::string rest = plain_ascii(text, width * most);
    std::string start = head;
    for (std::size_t line = 1; line <= most; ++line) {
      std::size_t end = rest.size();
      if (rest.size() > width) {
        end = width;
        const std::size_t blank = rest.rfind(' ', width);
        if (blank != std::string::npos && blank > width / 2) end = blank;
      }
      std::string shown = rest.substr(0, end);
      rest.erase(0, end);
      rest.erase(0, rest.find_first_not_of(' '));
      if (line == most && !rest.empty()) {
        shown.resize(std::min(shown.size(), width - 3));
        shown += "...";
      }
      lines_.push_back(start + shown);
      if (rest.empty()) return;
      start.assign(head.size(), ' ');
    }
  }
  const Lines& lines() const { return lines_; }

private:
  Lines lines_;
};

std::string plural(std::size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

std::string what_to_do(const Item& item) {
  if (item.decision.rule == "not-recorded") return "tell whoever runs the server, then push again";
  if (!item.advice.empty()) return item.advice;
  if (!item.place.commit.is_zero())
    return "take it out of commit " + item.place.commit.brief() +
           "; deleting it later is not enough";
  return "don't push it";
}

// The end of a path says more than its beginning.
std::string short_name(const Item& item, std::size_t max) {
  if (item.context.path.empty()) return item.kind + " " + item.oid.brief();
  const std::string path = plain_ascii(item.context.path, item.context.path.size() * 8 + 8);
  return path.size() <= max ? path : "..." + path.substr(path.size() - (max - 3));
}

std::string text_of(const Lines& lines) {
  std::string out;
  for (const auto& line: lines)
    out += std::string(k_mark) + line + "\n";
  return out;
}

std::string url_part(std::string_view text) {
  static constexpr std::string_view k_digits = "0123456789ABCDEF";
  std::string out;
  for (const char c: text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<std::uint8_t>(c);
    out += '%';
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

std::string filled(std::string_view link, const Item& item) {
  std::string rules;
  for (const auto& rule: item.decision.blockers)
    rules += (rules.empty() ? "" : ",") + rule;
  const std::array<std::string, k_link_fields.size()> values{
      item.decision.id,
      item.context.sha256 ? hex(*item.context.sha256) : "",
      rules,
      item.context.repo,
      item.context.path,
      item.context.user};
  std::string out(link);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string field = "{" + std::string(k_link_fields[i]) + "}";
    const std::string value = url_part(values[i]);
    for (std::size_t at = out.find(field); at != std::string::npos;
         at = out.find(field, at + value.size()))
      out.replace(at, field.size(), value);
  }
  return out;
}

// One object in full.
Block refusal_of(const Item& item, const std::vector<git::RefUpdate>& updates,
                 const HouseWords& words) {
  const Decision& decision = item.decision;
  Block out;
  out.wrap(decision.action == Action::quarantine ? "QUARANTINED " : "BLOCKED ",
           short_name(item, 150), 2);
  out.field("at:", place_of(item, updates), 2);
  if (decision.finding) {
    const Finding& finding = *decision.finding;
    out.field("found:",
              finding.rule + " (" + std::string(to_string(finding.severity)) +
                  (finding.reach == Reach::load ? ", runs when it is loaded)" : ")") +
                  (finding.where.empty() ? "" : " in " + finding.where) + " at byte " +
                  std::to_string(finding.offset),
              2);
    if (!finding.evidence.empty()) out.field("evidence:", finding.evidence, 3);
  } else if (decision.gap) {
    out.field("found:", what_was_found(decision), 3);
  }
  out.field("decided:", decision.reason + " (policy rule " + decision.rule + ")", 2);
  out.field("to do:", what_to_do(item), 2);
  if (item.context.sha256) out.whole("sha256:", hex(*item.context.sha256));
  if (!decision.blockers.empty() && !decision.id.empty())
    out.whole("waiver:", words.waiver_link.empty() ? "your security team: hubgate waiver add " +
                                                         decision.id + " --reason ..."
                                                   : filled(words.waiver_link, item));
  if (!decision.id.empty()) out.whole("reference:", decision.id);
  return out;
}

std::string reference_of(const std::vector<const Item*>& items) {
  for (const Item* item: items)
    if (!item->decision.id.empty()) return item->decision.id;
  return "REFERENCE";
}

} // namespace

std::string human_size(std::uint64_t bytes) {
  static constexpr std::array<const char*, 4> k_units{"KB", "MB", "GB", "TB"};
  if (bytes < 1000) return std::to_string(bytes) + " bytes";
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < k_units.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> out{};
  std::snprintf(out.data(), out.size(), "%.1f %s", value, k_units[unit]);
  return out.data();
}

std::string place_of(const Item& item, const std::vector<git::RefUpdate>& updates) {
  std::string out;
  if (item.place.ref == Place::k_no_ref)
    return "in the pack, named by no ref: object " + item.oid.brief();
  out = printable(updates[item.place.ref].name, 150);
  if (!item.place.commit.is_zero()) out += ", commit " + item.place.commit.brief();
  if (item.context.path.empty() || item.kind != "file")
    out += ", " + item.kind + " " + item.oid.brief();
  return out;
}

std::string unknown_field(std::string_view link) {
  for (std::size_t at = link.find('{'); at != link.npos; at = link.find('{', at + 1)) {
    const std::size_t end = link.find('}', at);
    const std::string_view name = link.substr(at + 1, end == link.npos ? end : end - at - 1);
    if (end == link.npos ||
        std::find(k_link_fields.begin(), k_link_fields.end(), name) == k_link_fields.end())
      return "{" + std::string(name.substr(0, 40)) + "}";
  }
  return {};
}

std::string refusal_screen(const std::vector<const Item*>& blocked,
                           const std::vector<git::RefUpdate>& updates, std::size_t objects,
                           const HouseWords& words) {
  Block out;
  out.wrap("",
           "PUSH REFUSED: " + std::to_string(blocked.size()) + " of " + plural(objects, "object") +
               (blocked.size() == 1 ? " is" : " are") + " blocked, nothing was changed",
           1);
  Block house;
  std::string_view message = words.message;
  while (!message.empty() && house.lines().size() < k_message_lines) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    house.wrap("", message.substr(0, end), 2);
    message.remove_prefix(std::min(end + 1, message.size()));
  }
  Lines screen = out.lines();
  const std::size_t room = k_screen_lines - std::min(house.lines().size(), k_message_lines);
  std::size_t told = 0;
  for (; told < blocked.size() && told < k_full; ++told) {
    const Block one = refusal_of(*blocked[told], updates, words);
    // The others have a line each, and one says how many more there are.
    const std::size_t others = std::min(blocked.size() - told - 1, k_short + 1);
    if (told > 0 && screen.size() + one.lines().size() + others > room) break;
    screen.insert(screen.end(), one.lines().begin(), one.lines().end());
  }
  for (std::size_t i = 0; i < k_short && told < blocked.size() && screen.size() + 1 < room;
       ++i, ++told) {
    const Item& item = *blocked[told];
    const std::string& rule =
        item.decision.finding ? item.decision.finding->rule : item.decision.rule;
    Block one;
    one.wrap("also ", short_name(item, 40) + ": " + rule + "; ref " + item.decision.id, 1);
    screen.push_back(one.lines().front());
  }
  if (told < blocked.size())
    screen.push_back("and " + std::to_string(blocked.size() - told) + " more (hubgate audit show " +
                     reference_of(blocked) + ")");
  for (std::size_t i = 0; i < house.lines().size() && i < k_message_lines; ++i)
    screen.push_back(house.lines()[i]);
  return text_of(screen);
}

std::string warning_lines(const std::vector<const Item*>& annotated,
                          const std::vector<git::RefUpdate>& updates) {
  Lines screen;
  std::size_t told = 0;
  for (; told < annotated.size(); ++told) {
    const Item& item = *annotated[told];
    const Decision& decision = item.decision;
    std::string found = what_was_found(decision);
    if (found.empty()) found = decision.reason;
    Block one;
    one.wrap("warning: ", short_name(item, 100) + ": " + found, 3);
    one.field("at:", place_of(item, updates), 1);
    one.field(
        "decided:",
        "policy rule " + decision.rule +
            (decision.waiver ? ", passes by waiver " + std::to_string(*decision.waiver) : "") +
            (decision.id.empty() ? "" : "; ref " + decision.id),
        1);
    if (screen.size() + one.lines().size() + 1 > k_screen_lines) break;
    screen.insert(screen.end(), one.lines().begin(), one.lines().end());
  }
  if (told < annotated.size())
    screen.push_back("and " + std::to_string(annotated.size() - told) +
                     " more warnings (hubgate audit show " + reference_of(annotated) + ")");
  return text_of(screen);
}

} // namespace hubgate
