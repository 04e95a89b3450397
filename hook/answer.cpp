#include "hook/answer.hpp"

#include "scanner/core/evidence.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace hubgate {
namespace {

/// Items told in full, and in a line each: together with the frame they fill one screen.
constexpr std::size_t k_full = 2;
constexpr std::size_t k_short = 4;
constexpr std::size_t k_warnings = 8;

std::string plural(std::size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

std::string what_to_do(const Item& item) {
  if (item.decision.rule == "not-recorded") return "tell whoever runs the server, then push again";
  if (!item.advice.empty()) return item.advice;
  if (!item.place.commit.is_zero())
    return "take it out of commit " + item.place.commit.brief() +
           " (git commit --amend, git rebase -i), deleting it later is not enough";
  return "don't push it";
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

std::string refusal_screen(const std::vector<const Item*>& blocked,
                           const std::vector<git::RefUpdate>& updates, std::size_t objects) {
  std::string out = "hubgate: PUSH REFUSED: " + std::to_string(blocked.size()) + " of " +
                    plural(objects, "object") + (blocked.size() == 1 ? " is" : " are") +
                    " blocked, nothing was changed\n";
  std::size_t told = 0;
  for (; told < blocked.size() && told < k_full; ++told) {
    const Item& item = *blocked[told];
    out += "hubgate: " + place_of(item, updates) + "\n";
    out += refusal_text(item.decision, item.context);
    out += "hubgate:   what to do: " + what_to_do(item) + "\n";
  }
  for (; told < blocked.size() && told < k_full + k_short; ++told) {
    const Item& item = *blocked[told];
    const std::string& rule =
        item.decision.finding ? item.decision.finding->rule : item.decision.rule;
    const std::string name = item.context.path.empty() ? item.kind + " " + item.oid.brief()
                                                       : printable(item.context.path, 100);
    out +=
        "hubgate: also " + name + ": " + printable(rule, 60) + "; ref " + item.decision.id + "\n";
  }
  if (told < blocked.size())
    out += "hubgate: and " + std::to_string(blocked.size() - told) + " more (hubgate audit show " +
           reference_of(blocked) + ")\n";
  return out;
}

std::string warning_lines(const std::vector<const Item*>& annotated,
                          const std::vector<git::RefUpdate>& updates) {
  std::string out;
  for (std::size_t i = 0; i < annotated.size() && i < k_warnings; ++i) {
    const Item& item = *annotated[i];
    out += annotation_line(item.decision, item.context) + " (" + place_of(item, updates) + ")\n";
  }
  if (annotated.size() > k_warnings)
    out += "hubgate: and " + std::to_string(annotated.size() - k_warnings) +
           " more warnings (hubgate audit show " + reference_of(annotated) + ")\n";
  return out;
}

void Terminal::say(const std::string& lines) {
  std::string_view rest = lines;
  while (!rest.empty()) {
    const ssize_t n = write(STDERR_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  last_ = std::chrono::steady_clock::now();
}

void Terminal::progress(const std::string& line) {
  if (std::chrono::steady_clock::now() - last_ < std::chrono::seconds(2)) return;
  say(line);
}

std::string Terminal::painted(const std::string& lines, const char* start) const {
  if (colour_ == Colour::off || lines.empty()) return lines;
  std::string out;
  std::string_view rest = lines;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    out += start;
    out += rest.substr(0, end);
    out += "\x1b[0m\n";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

} // namespace hubgate
