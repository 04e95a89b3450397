// Reading the audit log: lines, segments, verification.
#include "policy/audit_file.hpp"

#include "scanner/core/digest.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace hubgate {
namespace json = boost::json;
namespace {

constexpr std::string_view k_prefix = "audit-";
constexpr std::string_view k_suffix = ".jsonl";

// Checks line after line; what does not fit is told and then taken as the new start, so that one
// edit does not drown the rest.
class Chain {
public:
  explicit Chain(AuditCheck& check) : check_(check) {}

  void line(const std::string& segment, std::string_view text, std::uint64_t number) {
    const std::string at = segment + ":" + std::to_string(number);
    const auto fields = audit_fields(text);
    ++check_.lines;
    if (!fields) {
      problem(at + ": is no line of the log: it was edited or damaged");
      hash_ = hex(sha256(as_bytes(text)));
      at_ = at;
      return;
    }
    const std::uint64_t seq = seq_of(*fields);
    if (!torn_.empty()) expect_recovery(at, *fields);
    if (!started_) {
      check_.first = seq;
      if (seq == 1 && text_field(*fields, "prev") != audit_genesis())
        problem(at + ": is the first line but names one before it");
    } else if (seq <= seq_) {
      problem(at + ": line " + std::to_string(seq) + " comes after line " + std::to_string(seq_) +
              ": out of order or repeated");
    } else if (seq != seq_ + 1) {
      problem(at + ": " + std::to_string(seq - seq_ - 1) + " lines before it are missing (" +
              std::to_string(seq_ + 1) + " to " + std::to_string(seq - 1) + ")");
    } else if (text_field(*fields, "prev") != hash_) {
      problem(at + ": does not continue " + at_ + ": one of the two was edited");
    }
    started_ = true;
    seq_ = seq;
    hash_ = hex(sha256(as_bytes(text)));
    at_ = at;
    check_.last = {seq_, hash_};
  }

  void torn(const std::string& segment, std::uint64_t bytes) {
    if (!torn_.empty()) unexplained();
    torn_ = segment;
    torn_bytes_ = bytes;
  }

  void finish() {
    if (!torn_.empty())
      check_.notes.push_back(torn_ + ": ends in a torn line of " + std::to_string(torn_bytes_) +
                             " bytes; the next start begins a new segment");
  }

private:
  void expect_recovery(const std::string& at, const json::object& fields) {
    const json::value* bytes = fields.if_contains("torn_bytes");
    boost::system::error_code error;
    if (text_field(fields, "event") == "recovered" && text_field(fields, "segment") == torn_ &&
        bytes != nullptr && bytes->is_number() &&
        bytes->to_number<std::uint64_t>(error) == torn_bytes_)
      check_.notes.push_back(torn_ + ": ends in a torn line of " + std::to_string(torn_bytes_) +
                             " bytes, as " + at + " says");
    else
      unexplained();
    torn_.clear();
  }
  void unexplained() {
    problem(torn_ + ": ends in a torn line that the next segment does not know of");
  }
  void problem(std::string text) { check_.problems.push_back(std::move(text)); }

  AuditCheck& check_;
  bool started_ = false;
  std::uint64_t seq_ = 0;
  std::string hash_;
  std::string at_;
  std::string torn_; // the segment that ends in a torn line, if one waits for its explanation
  std::uint64_t torn_bytes_ = 0;
};

} // namespace

std::string audit_genesis() {
  return std::string(64, '0');
}

std::filesystem::path segment_file(const std::filesystem::path& dir, std::uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
  return dir / (std::string(k_prefix) + digits + std::string(k_suffix));
}

Result<std::vector<AuditSegment>> audit_segments(const std::filesystem::path& dir) {
  std::vector<AuditSegment> out;
  std::error_code error;
  std::filesystem::directory_iterator files(dir, error);
  if (error) return Error{printable(dir.string(), 300) + ": can't be read: " + error.message()};
  for (; files != std::filesystem::directory_iterator(); files.increment(error)) {
    if (error) return Error{printable(dir.string(), 300) + ": can't be read: " + error.message()};
    const std::string name = files->path().filename().string();
    if (!name.starts_with(k_prefix) || !name.ends_with(k_suffix)) continue;
    const std::string_view digits = std::string_view(name).substr(
        k_prefix.size(), name.size() - k_prefix.size() - k_suffix.size());
    AuditSegment segment;
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), segment.number);
    if (failed != std::errc{} || end != digits.data() + digits.size()) continue;
    segment.file = files->path();
    out.push_back(std::move(segment));
  }
  std::sort(out.begin(), out.end(),
            [](const AuditSegment& a, const AuditSegment& b) { return a.number < b.number; });
  return out;
}

Result<std::uint64_t>
each_line(const std::filesystem::path& file,
          const std::function<bool(std::string_view text, std::uint64_t number)>& each) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return Error{printable(file.string(), 300) + ": can't be opened"};
  std::string held; // the beginning of a line
  std::vector<char> piece(std::size_t{1} << 18);
  std::uint64_t number = 0;
  std::uint64_t behind = 0;
  while (stream.read(piece.data(), static_cast<std::streamsize>(piece.size())),
         stream.gcount() > 0) {
    std::string_view rest(piece.data(), static_cast<std::size_t>(stream.gcount()));
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      // What is beyond the limit is not kept: such a line is damage in any case.
      if (held.size() < k_audit_line_max) held += rest.substr(0, end);
      if (end == std::string_view::npos) {
        behind += rest.size();
        break;
      }
      rest.remove_prefix(end + 1);
      behind = 0;
      if (!each(held, ++number)) return std::uint64_t{0};
      held.clear();
    }
  }
  if (stream.bad()) return Error{printable(file.string(), 300) + ": can't be read"};
  return behind;
}

Result<AuditTail> audit_tail(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return Error{printable(file.string(), 300) + ": can't be opened"};
  const auto size = static_cast<std::uint64_t>(stream.tellg());
  std::string text;
  for (std::uint64_t wanted = std::uint64_t{1} << 16;; wanted *= 4) {
    const std::uint64_t start = size - std::min(size, wanted);
    text.resize(static_cast<std::size_t>(size - start));
    stream.seekg(static_cast<std::streamoff>(start));
    if (!stream.read(text.data(), static_cast<std::streamsize>(text.size())))
      return Error{printable(file.string(), 300) + ": can't be read"};
    // From one line feed back to the one before; the first line of the piece may be cut.
    std::size_t end = text.rfind('\n');
    while (end != std::string::npos) {
      const std::size_t before = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
      if (before == std::string::npos && start != 0) break;
      const std::size_t begin = before == std::string::npos ? 0 : before + 1;
      const std::string_view line = std::string_view(text).substr(begin, end - begin);
      if (const auto fields = audit_fields(line))
        return AuditTail{AuditLog::Line{seq_of(*fields), hex(sha256(as_bytes(line)))},
                         text.size() - end - 1};
      end = before;
    }
    if (start == 0) return AuditTail{std::nullopt, size};
  }
}

std::optional<json::object> audit_fields(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  if (seq_of(value.get_object()) == 0) return std::nullopt;
  return std::move(value.get_object());
}

std::uint64_t seq_of(const json::object& fields) {
  const json::value* seq = fields.if_contains("seq");
  boost::system::error_code error;
  if (seq == nullptr || !seq->is_number()) return 0;
  const auto number = seq->to_number<std::uint64_t>(error);
  return error ? 0 : number;
}

std::string text_field(const json::object& fields, std::string_view key) {
  const json::value* value = fields.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<AuditCheck> verify_audit(const std::filesystem::path& dir) {
  AuditCheck out;
  Chain chain(out);
  for (const AuditSegment& segment: HUBGATE_TRY(audit_segments(dir))) {
    const std::string name = segment.file.filename().string();
    const std::uint64_t torn =
        HUBGATE_TRY(each_line(segment.file, [&](std::string_view text, std::uint64_t number) {
          chain.line(name, text, number);
          return true;
        }));
    if (torn != 0) chain.torn(name, torn);
  }
  chain.finish();
  return out;
}

std::string redacted(std::string_view text, std::size_t max) {
  std::string out;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    std::string word(text.substr(0, space));
    const std::size_t scheme = word.find("://");
    if (scheme != std::string::npos) {
      const std::size_t host = scheme + 3;
      const std::size_t path = std::min(word.find('/', host), word.size());
      const std::size_t at = word.rfind('@', path);
      if (at != std::string::npos && at >= host) word.replace(host, at - host, "****");
    }
    const std::size_t query = word.find('?');
    if (query != std::string::npos &&
        (scheme != std::string::npos || word.find('=', query) != std::string::npos))
      word.resize(query);
    if (scheme != std::string::npos) word.resize(std::min(word.find('#'), word.size()));
    out += word;
    text.remove_prefix(space);
    if (!text.empty()) {
      out += ' ';
      text.remove_prefix(1);
    }
    // What follows an authorisation scheme is a secret of whatever shape.
    const bool secret_next = word.ends_with("Bearer") || word.ends_with("bearer") ||
                             word.ends_with("Basic") || word.ends_with("basic");
    if (secret_next && !text.empty()) {
      out += "****";
      text.remove_prefix(std::min(text.find(' '), text.size()));
    }
  }
  return printable(out, max);
}

} // namespace hubgate
