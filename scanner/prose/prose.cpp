#include "scanner/prose/prose.hpp"

#include "scanner/config/names.hpp"
#include "scanner/config/paths.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace hubgate::prose {
namespace {

constexpr std::size_t k_chunk = std::size_t{256} << 10;
constexpr std::size_t k_word = 4096;   ///< no token is longer
constexpr std::uint64_t k_listed = 16; ///< secrets; the rest is counted
constexpr std::size_t k_small_file = std::size_t{64} << 10;
/// Where the files of Git may begin their last piece; the hook refuses longer ones.
constexpr std::uint64_t k_line_files = std::uint64_t{1} << 20;
constexpr std::size_t k_tag_run = 8;
constexpr std::size_t k_zero_run = 16;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// U+200B-200D, U+2060, U+FEFF, U+180E: three bytes each.
bool is_zero_width(std::string_view c) {
  return c == "\xe2\x80\x8b" || c == "\xe2\x80\x8c" || c == "\xe2\x80\x8d" || c == "\xe2\x81\xa0" ||
         c == "\xef\xbb\xbf" || c == "\xe1\xa0\x8e";
}

constexpr std::string_view k_filter = "filter=";
constexpr std::string_view k_recoding = "working-tree-encoding=";

// An attribute that begins with `wanted`, one of the two above.
void attribute_line(Session& session, std::string_view line, std::string_view wanted,
                    std::uint64_t offset) {
  constexpr std::string_view k_file = ".gitattributes|**/.git/info/attributes";
  std::size_t at = line.find_first_not_of(" \t");
  // A pattern in quotes may have blanks in it (quote.c of Git).
  if (at != line.npos && line[at] == '"')
    for (++at; at < line.size() && line[at] != '"'; ++at)
      if (line[at] == '\\') ++at;
  while (at < line.size()) {
    const std::size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
    const std::string_view word = line.substr(at, end - at);
    at = end + 1;
    if (word.starts_with(wanted) && word != "filter=lfs" && word != "filter=xet")
      session.find(k_git_filter, offset, line.size(), line, {.condition = k_file});
  }
}

// The parts between slashes and backslashes.
template <typename Is> bool any_part(std::string_view path, Is is) {
  while (true) {
    const std::size_t end = path.find_first_of("/\\");
    if (is(path.substr(0, end))) return true;
    if (end == path.npos) return false;
    path.remove_prefix(end + 1);
  }
}

// CVE-2017-1000117 and CVE-2018-17456 (options), CVE-2020-5260 (line feeds), helpers like ext::,
// and what lies on the consumer's own machine.
bool is_submodule_trick(std::string_view url) {
  const std::string folded = lowered(url);
  const bool drive = folded.size() > 1 && folded[1] == ':' && folded[0] >= 'a' && folded[0] <= 'z';
  return url.starts_with('-') || url.find("::") < url.find('/') ||
         folded.find("ext::") != folded.npos || folded.find("%0a") != folded.npos ||
         folded.find("://-") != folded.npos || folded.starts_with("file:") ||
         url.starts_with('/') || url.starts_with('\\') || url.starts_with('~') || drive ||
         std::any_of(url.begin(), url.end(), [](char c) { return c >= 0 && c < 0x20; });
}

bool is_path_trick(std::string_view path) {
  const std::string folded = lowered(path);
  const bool git = folded.find("git~1") != folded.npos ||
                   any_part(folded, [](std::string_view part) { return part == ".git"; });
  return git || path.starts_with('-') ||
         config::judge_path(path).kind != config::PathKind::relative;
}

void config_entry(Session& session, const GitConfigReader::Entry& entry) {
  constexpr std::string_view k_modules = ".gitmodules";
  const std::uint64_t length = entry.key.size() + entry.value.size();
  const std::string shown = std::string(entry.section) +
                            (entry.subsection.empty() ? "" : "." + std::string(entry.subsection)) +
                            "." + std::string(entry.key) + " = " + std::string(entry.value);
  const auto tell = [&](const Rule& rule, std::string_view condition) {
    session.find(rule, entry.offset, length, shown, {.condition = condition});
  };
  const bool url = entry.key == "url";
  if (url || entry.key == "pushurl" || entry.key == "lfsurl" || entry.key == "lfspushurl")
    tell(k_lfs_redirect, ".lfsconfig");
  if (entry.section != "submodule") return;
  const bool trick =
      entry.carriage || entry.cut ||
      any_part(entry.subsection, [](std::string_view part) { return part == ".."; }) ||
      (url && is_submodule_trick(entry.value)) ||
      (entry.key == "path" && is_path_trick(entry.value)) ||
      (entry.key == "update" && entry.value.starts_with('!'));
  if (trick)
    tell(k_submodule_trick, k_modules);
  else if (url)
    tell(k_submodule, k_modules);
  if (url) session.refer("repository", entry.offset, entry.value, k_modules);
}

void whole_file(Session& session, std::string_view text) {
  // One dotted name and nothing else.
  const std::string_view name = trimmed(text.substr(0, std::min(text.find('\n'), text.size())));
  if (name.size() + 4 > text.size() && name.size() > 1 && config::is_dotted_name(name)) {
    const bool known = name == "mlflow.pytorch.pickle_module";
    const bool module = name.find('.') != std::string_view::npos ||
                        config::judge_module(name).standing == config::Standing::dangerous;
    const bool usual = name == "pickle" || name == "cloudpickle" || name == "dill";
    if (module && !known && !usual)
      session.find(k_pickle_module, 0, name.size(), name, {.condition = "pickle_module_info.txt"});
  }
  // An interpreter line alone says nothing here.
  if (text.starts_with("#!")) text.remove_prefix(std::min(text.find('\n'), text.size()));
  // What a shell runs; pages and Python sources are told by their own formats.
  const auto script = find_script(text);
  constexpr std::array<std::string_view, 5> k_shell{
      "a reverse shell", "an interactive shell", "a download piped into a shell",
      "a decoded shell command", "an encoded PowerShell command"};
  if (script && std::find(k_shell.begin(), k_shell.end(), script->what) != k_shell.end()) {
    const std::string evidence =
        std::string(script->what) + ": " + std::string(text.substr(script->offset, script->length));
    session.find(k_tool_script, script->offset, script->length, evidence,
                 {.condition = ".envrc|**/.husky/*|**/.githooks/*|**/hooks/post-checkout"});
    // Installers are piped into shells by honest makefiles.
    const bool shell = script->what == "a reverse shell" ||
                       script->what == "an interactive shell" ||
                       script->what == "a decoded shell command";
    if (shell)
      session.find(k_tool_script, script->offset, script->length, evidence,
                   {.condition = "Makefile|GNUmakefile|*.mk|justfile|Taskfile.yml"});
    if (shell || script->what == "an encoded PowerShell command")
      session.find(k_agent, script->offset, script->length, evidence, {.condition = k_agent_files});
  }
}

} // namespace

ProseWatch::ProseWatch(Session& session)
    : session_(session),
      config_([&session](const GitConfigReader::Entry& entry) { config_entry(session, entry); }) {}

void ProseWatch::feed(std::string_view piece, std::uint64_t offset) {
  if (buffer_.empty()) begin_ = offset;
  buffer_ += piece;
  if (buffer_.size() < k_chunk) return;
  // Cut where no token goes on: at the last line end or blank.
  std::size_t cut = buffer_.find_last_of(" \n\t");
  if (cut == std::string::npos || buffer_.size() - cut > k_word) cut = buffer_.size() - 1;
  ++cut;
  chunk(std::string_view(buffer_).substr(0, cut), begin_);
  buffer_.erase(0, cut);
  begin_ += cut;
}

void ProseWatch::finish() {
  if (begin_ == 0 && buffer_.size() <= k_small_file) whole_file(session_, buffer_);
  chunk(buffer_, begin_);
  config_.finish();
  if (secrets_ > k_listed)
    session_.find(k_secret, 0, 0, std::to_string(secrets_ - k_listed) + " more secrets");
  const Personal& counts = personal_;
  if (counts.emails < 5 && counts.phones < 5 && counts.cards + counts.ibans + counts.persons == 0)
    return;
  std::string words;
  const auto add = [&words](std::uint64_t n, std::string_view what) {
    if (n == 0) return;
    if (!words.empty()) words += ", ";
    words += std::to_string(n) + " " + std::string(what);
  };
  add(counts.emails, "e-mail addresses");
  add(counts.phones, "telephone numbers");
  add(counts.cards, "payment card numbers");
  add(counts.ibans, "bank account numbers");
  add(counts.persons, "identity numbers");
  session_.find(k_personal, 0, 0, words);
}

void ProseWatch::chunk(std::string_view text, std::uint64_t offset) {
  if (text.empty()) return;
  secrets(text, offset);
  count_personal(text, personal_);
  instructions(text, offset);
  hidden(text, offset);
  beacons(text, offset);
  if (offset < k_line_files) {
    lines(text, offset);
    if (offset == fed_) config_.feed(text);
    fed_ = offset + text.size();
  }
}

void ProseWatch::secrets(std::string_view text, std::uint64_t offset) {
  for (auto secret = find_secret(text, 0); secret;
       secret = find_secret(text, secret->offset + secret->length)) {
    if (++secrets_ > k_listed) continue;
    // Never the secret itself: who reads the report is not who owns it.
    const std::size_t shown = std::min<std::size_t>(8, secret->length / 4);
    session_.find(k_secret, offset + secret->offset, secret->length,
                  std::string(secret->what) + (secret->checked ? " (its checksum holds): " : ": ") +
                      std::string(text.substr(secret->offset, shown)) + "****");
  }
}

void ProseWatch::instructions(std::string_view text, std::uint64_t offset) {
  if (told_override_ && told_hidden_ && told_agent_) return;
  const Instructions seen = find_instructions(text);
  const auto first = seen.conceals    ? seen.conceals
                     : seen.addresses ? seen.addresses
                                      : seen.overrides;
  if (!first) return;
  const std::size_t begin = *first > 60 ? *first - 60 : 0;
  const std::string_view evidence = text.substr(begin, 300);
  if (seen.overrides && !told_override_) {
    told_override_ = true;
    session_.find(k_injection, offset + *seen.overrides, 0, text.substr(*seen.overrides, 200));
  }
  if ((seen.overrides || seen.conceals) && !told_agent_) {
    told_agent_ = true;
    session_.find(k_agent, offset + *first, 0, evidence, {.condition = k_agent_files});
  }
  const bool hides = seen.conceals && (seen.acts || seen.overrides);
  const bool steers =
      (seen.addresses && seen.acts) || (seen.comment && (seen.overrides || seen.addresses));
  if ((hides || steers) && !told_hidden_) {
    told_hidden_ = true;
    session_.find(k_hidden_instructions, offset + *first, 0, evidence, {.condition = k_read_files});
  }
}

void ProseWatch::beacons(std::string_view text, std::uint64_t offset) {
  if (told_beacon_) return;
  const auto beacon = find_beacon(text, 0);
  if (!beacon) return;
  told_beacon_ = true;
  session_.find(k_beacon, offset + beacon->offset, beacon->length,
                text.substr(beacon->offset, beacon->length));
}

void ProseWatch::hidden(std::string_view text, std::uint64_t offset) {
  // Tags U+E0020 to U+E007F: f3 a0 80|81 xx, ASCII in disguise. Behind a black flag they spell the
  // flag of a region.
  for (std::size_t at = text.find("\xf3\xa0"); at != std::string_view::npos && !told_tags_;
       at = text.find("\xf3\xa0", at + 1)) {
    std::string spelled;
    std::size_t end = at;
    while (end + 3 < text.size() && text.substr(end, 2) == "\xf3\xa0" &&
           (text[end + 2] == '\x80' || text[end + 2] == '\x81')) {
      spelled += static_cast<char>(((text[end + 2] & 1) << 6) | (text[end + 3] & 0x3f));
      end += 4;
    }
    const bool flag = at >= 4 && text.substr(at - 4, 4) == "\xf0\x9f\x8f\xb4";
    if (spelled.size() >= k_tag_run && !flag) {
      told_tags_ = true;
      session_.find(k_tags, offset + at, end - at, "reads: " + spelled);
    }
    at = std::max(at, end == at ? at : end - 1);
  }
  std::size_t run = 0;
  for (std::size_t at = 0; at < text.size() && !told_zero_;) {
    // Eight ASCII characters at once.
    if (text.size() - at >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & 0x8080808080808080) == 0) {
        run = 0;
        at += 8;
        continue;
      }
    }
    const auto c = static_cast<std::uint8_t>(text[at]);
    if (c < 0xe1) {
      run = 0;
      ++at;
      continue;
    }
    if (is_zero_width(text.substr(at, 3))) {
      at += 3;
      if (++run < k_zero_run) continue;
      told_zero_ = true;
      session_.find(k_zero_width, offset + at - run * 3, run * 3,
                    "at least " + std::to_string(run) + " characters without width in a row",
                    {.condition = k_read_files});
    } else {
      run = 0;
      ++at;
    }
  }
}

void ProseWatch::lines(std::string_view text, std::uint64_t offset) {
  for (const std::string_view wanted: {k_filter, k_recoding})
    for (std::size_t found = text.find(wanted); found != text.npos;) {
      const std::size_t before = text.rfind('\n', found);
      const std::size_t begin = before == text.npos ? 0 : before + 1;
      const std::size_t end = std::min(text.find('\n', found), text.size());
      const std::string_view line = text.substr(begin, end - begin);
      // Git reads no longer ones (attr.h: ATTR_MAX_LINE_LENGTH is 2048).
      if (line.size() <= 4096 && !trimmed(line).starts_with('#'))
        attribute_line(session_, line, wanted, offset + begin);
      found = text.find(wanted, end);
    }
}

} // namespace hubgate::prose
