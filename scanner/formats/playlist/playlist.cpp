// Playlists that media players follow: HLS and M3U (RFC 8216), FFmpeg's concat scripts, PLS. What a
// reader of audio and video opens because such a file names it. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{256} << 10;
constexpr std::size_t k_line = 4096;

constexpr std::array<Rule, 2> k_rules{{
    {"playlist-local-file", "traversal", Severity::suspicious, Reach::load, "CWE-22",
     "AML.T0010.002", "DAT-016",
     "a playlist names a file outside of its folder, whose content ends up in what is made of it"},
    {"playlist-protocol", "reference", Severity::suspicious, Reach::load, "CWE-918",
     "AML.T0010.002", "DAT-016",
     "a playlist uses a protocol of FFmpeg that joins or reads other files"},
}};

const Rule& k_local = k_rules[0];
const Rule& k_protocol = k_rules[1];

Claim probe(const Probe& probe) {
  std::string_view head = as_text(probe.head);
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  return head.starts_with("#EXTM3U") || head.starts_with("ffconcat version") ||
                 head.starts_with("[playlist]")
             ? Claim::yes
             : Claim::no;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

void target(Session& session, std::string_view name, std::uint64_t at) {
  constexpr std::array<std::string_view, 8> k_protocols{
      "concat:", "subfile,", "crypto:",    "crypto+",
      "gopher:", "concatf:", "async:file", "cache:file"};
  if (name.empty()) return;
  const std::string text = lower(name);
  const bool is_protocol =
      std::any_of(k_protocols.begin(), k_protocols.end(),
                  [&](std::string_view start) { return text.starts_with(start); });
  const bool is_drive = text.size() > 2 && text[1] == ':' && (text[2] == '\\' || text[2] == '/');
  if (is_protocol) {
    session.find(k_protocol, at, name.size(), name);
  } else if (text.starts_with("file:") || text.starts_with("/") || text.starts_with("\\") ||
             is_drive || text.find("../") != std::string::npos ||
             text.find("..\\") != std::string::npos) {
    session.find(k_local, at, name.size(), name);
    session.refer("file", at, name);
  } else if (text.find("://") != std::string::npos) {
    session.refer("url", at, name);
  } else {
    session.refer("file", at, name);
  }
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') &&
      text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

void one_line(Session& session, std::string_view line, std::uint64_t at) {
  while (!line.empty() && static_cast<unsigned char>(line.back()) <= ' ')
    line.remove_suffix(1);
  std::size_t begin = 0;
  while (begin < line.size() && static_cast<unsigned char>(line[begin]) <= ' ')
    ++begin;
  line.remove_prefix(begin);
  at += begin;
  if (line.starts_with("#")) { // tags of HLS name keys and initial parts
    for (const std::string_view key: {"URI=\"", "URI='"})
      if (const std::size_t from = line.find(key); from != std::string_view::npos) {
        const std::string_view rest = line.substr(from + key.size());
        target(session, rest.substr(0, rest.find(key.back())), at + from + key.size());
      }
    return;
  }
  if (line.starts_with("file ")) return target(session, unquoted(line.substr(5)), at + 5);
  if (const std::size_t equal = line.find('=');
      line.starts_with("File") && equal != std::string_view::npos)
    return target(session, line.substr(equal + 1), at + equal + 1);
  for (const std::string_view word:
       {"ffconcat", "stream", "duration", "inpoint", "outpoint", "option", "chapter", "[playlist]",
        "Title", "Length", "NumberOfEntries", "Version", "exact_stream_id"})
    if (line.starts_with(word)) return;
  target(session, line, at);
}

Reading scan(Source& source, Session& session) {
  std::string line;
  std::uint64_t begin = 0;
  bool skip = false; // the rest of a line that is too long
  for (std::uint64_t at = 0;;) {
    const std::string piece(as_text(source.some(at, k_step)));
    if (piece.empty()) break;
    for (std::size_t i = 0; i < piece.size(); ++i) {
      const char c = piece[i];
      if (c == '\0') return Reading::none;
      if (c == '\n') {
        if (!skip) one_line(session, line, begin);
        line.clear();
        skip = false;
        begin = at + i + 1;
      } else if (line.size() < k_line) {
        line += c;
      } else if (!skip) {
        one_line(session, line, begin);
        skip = true;
      }
    }
    at += piece.size();
    session.release(begin);
    if (!session.budget().time_left()) {
      session.gap(Reason::budget, Reach::load, at, "out of time");
      return Reading::broken;
    }
  }
  if (!skip) one_line(session, line, begin);
  return Reading::valid;
}

} // namespace

extern const Format format_playlist;
const Format format_playlist{"playlist", "text", probe, scan, k_rules};

} // namespace hubgate
