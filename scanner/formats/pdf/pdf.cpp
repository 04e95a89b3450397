// PDF (ISO 32000-1): read as a stream of tokens, whatever its cross-reference tables say, so that
// every revision and every object counts. Names decide; streams are stepped over, but for those
// that hold objects or files. See README.md.
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{64} << 10;
constexpr std::size_t k_max_name = 127; ///< the specification's own limit
constexpr std::size_t k_told = 3;
constexpr std::size_t k_header_window = 1024; ///< readers look for "%PDF-" in it
constexpr std::string_view k_atlas = "AML.T0010.002";

constexpr std::array<Rule, 4> k_rules{{
    {"pdf-script", "script", Severity::suspicious, Reach::load, "CWE-94", k_atlas, "DAT-016",
     "the document runs JavaScript in its reader"},
    {"pdf-launch", "dangerous-call", Severity::malicious, Reach::load, "CWE-78", k_atlas, "DAT-016",
     "the document starts a program"},
    {"pdf-hidden-name", "deception", Severity::suspicious, Reach::load, "CWE-506", "AML.T0076",
     "DAT-016",
     "an action's name is written with escapes, or packed so that scanners don't see it"},
    {"pdf-active-content", "code", Severity::informational, Reach::load, "", k_atlas, "DAT-016",
     "the document has actions, forms or files that its reader acts on"},
}};

const Rule& k_script = k_rules[0];
const Rule& k_launch = k_rules[1];
const Rule& k_hidden = k_rules[2];
const Rule& k_active = k_rules[3];

// Bytes one by one through a window.
class Bytewise {
public:
  Bytewise(Source& source, std::uint64_t begin) : source_(source), at_(begin) {}
  int peek() {
    if (at_ - begin_ >= window_.size() && !fill()) return -1;
    return window_[static_cast<std::size_t>(at_ - begin_)];
  }
  int take() {
    const int c = peek();
    if (c >= 0) ++at_;
    return c;
  }
  std::uint64_t position() const { return at_; }
  void seek(std::uint64_t at) {
    at_ = at;
    if (at_ < begin_ || at_ - begin_ >= window_.size()) window_.clear();
  }
  /// Moves behind the next `word`; false at the end.
  bool find(std::string_view word) {
    std::size_t matched = 0;
    for (int c = take(); c >= 0; c = take()) {
      if (c == static_cast<unsigned char>(word[matched])) {
        if (++matched == word.size()) return true;
      } else {
        matched = c == static_cast<unsigned char>(word[0]) ? 1 : 0;
      }
    }
    return false;
  }

private:
  bool fill() {
    begin_ = at_;
    const Bytes bytes = source_.some(at_, k_step);
    window_.assign(bytes.begin(), bytes.end());
    return !window_.empty();
  }
  Source& source_;
  std::uint64_t at_;
  std::uint64_t begin_ = 0;
  std::vector<std::uint8_t> window_;
};

bool is_space(int c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0;
}

bool is_delimiter(int c) {
  return c == '(' || c == ')' || c == '<' || c == '>' || c == '[' || c == ']' || c == '{' ||
         c == '}' || c == '/' || c == '%';
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  /// Tokens of `source` from `begin` on. `packed`: the content of an object stream.
  bool tokens(Source& source, std::uint64_t begin, bool packed);
  void name(Bytewise& in, bool packed);
  void word(Bytewise& in, Source& source, const std::string& text, bool packed);
  void stream(Bytewise& in, Source& source);
  static void skip_string(Bytewise& in);
  void tell(const Rule& rule, std::uint64_t offset, const std::string& evidence) {
    const auto index = static_cast<std::size_t>(&rule - k_rules.data());
    if (++told_[index] <= k_told) session_.find(rule, offset, 0, evidence);
  }

  Source& source_;
  Session& session_;
  std::array<std::size_t, k_rules.size()> told_{};
  std::string last_name_;
  // Of the object that is being read.
  bool object_stream_ = false;
  bool file_ = false;
  std::size_t filters_ = 0;
  bool deflated_ = false;
  bool encrypted_ = false;
  bool packed_objects_ = false;
  std::uint64_t last_end_ = 0; ///< behind the last %%EOF
};

void Scan::skip_string(Bytewise& in) {
  std::size_t depth = 1;
  for (int c = in.take(); c >= 0; c = in.take()) {
    if (c == '\\')
      in.take();
    else if (c == '(')
      ++depth;
    else if (c == ')' && --depth == 0)
      return;
  }
}

void Scan::name(Bytewise& in, bool packed) {
  const std::uint64_t at = in.position();
  in.take();
  std::string text;
  bool escaped = false;
  for (int c = in.peek(); c >= 0 && !is_space(c) && !is_delimiter(c); c = in.peek()) {
    in.take();
    if (c == '#') {
      const auto digit = [](int d) {
        return d >= '0' && d <= '9'   ? d - '0'
               : d >= 'a' && d <= 'f' ? d - 'a' + 10
               : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                      : -1;
      };
      const int high = digit(in.peek());
      if (high >= 0) {
        in.take();
        const int low = digit(in.peek());
        if (low >= 0) {
          in.take();
          c = high * 16 + low;
          escaped = true;
        }
      }
    }
    if (text.size() < k_max_name) text += static_cast<char>(c);
  }
  const std::uint64_t offset = packed ? 0 : at;
  // The catalogue's /JavaScript names a tree that may be empty; an action says /S /JavaScript.
  const bool script = text == "JS" || (text == "JavaScript" && last_name_ == "S");
  const bool action = script || text == "Launch";
  if (script) tell(k_script, offset, "/" + text);
  if (text == "JavaScript" && !script) tell(k_active, offset, "/" + text);
  if (text == "Launch") tell(k_launch, offset, "/Launch");
  if (action && escaped) tell(k_hidden, offset, "/" + text + ", with escapes");
  if (text == "OpenAction" || text == "AA" || text == "RichMedia" || text == "XFA" ||
      text == "EmbeddedFile" || text == "SubmitForm" || text == "ImportData" || text == "GoToE")
    tell(k_active, offset, "/" + text);
  last_name_ = text;
  if (text == "ObjStm") object_stream_ = true;
  if (text == "EmbeddedFile") file_ = true;
  if (text == "Encrypt") encrypted_ = true;
  if (text == "FlateDecode" || text == "Fl") deflated_ = true;
  if (text == "FlateDecode" || text == "Fl" || text == "LZWDecode" || text == "LZW" ||
      text == "ASCIIHexDecode" || text == "AHx" || text == "ASCII85Decode" || text == "A85" ||
      text == "RunLengthDecode" || text == "RL" || text == "Crypt")
    ++filters_;
}

// Behind the word "stream": to "endstream", through the content where it may hold objects.
void Scan::stream(Bytewise& in, Source& source) {
  if (in.peek() == '\r') in.take();
  if (in.peek() == '\n') in.take();
  const std::uint64_t begin = in.position();
  in.find("endstream");
  const std::uint64_t end = in.position();
  const std::uint64_t length = end - begin - std::min<std::uint64_t>(9, end - begin);
  if (object_stream_) {
    packed_objects_ = true;
    if (filters_ == 1 && deflated_ && !encrypted_) {
      DecodedSource content(decode_zlib(source, begin, begin + length), session_.budget());
      tokens(content, 0, true);
      if (content.fault() == Fault::budget)
        session_.gap(Reason::budget, Reach::load, begin, "an object stream unpacks to too much");
    } else if (filters_ == 0 && !encrypted_) {
      SubSource content(source, begin, length);
      tokens(content, 0, true);
    } else if (!encrypted_) {
      tell(k_hidden, begin, "objects packed by filters that nobody uses for them");
      session_.gap(Reason::unsupported, Reach::load, begin, "the filters of an object stream");
    }
  } else if (file_ && filters_ <= 1 && !encrypted_) {
    if (deflated_) {
      DecodedSource content(decode_zlib(source, begin, begin + length), session_.budget());
      session_.embedded("file@" + std::to_string(begin), content);
    } else {
      SubSource content(source, begin, length);
      session_.embedded("file@" + std::to_string(begin), content);
    }
  }
}

void Scan::word(Bytewise& in, Source& source, const std::string& text, bool packed) {
  if (text == "obj") {
    object_stream_ = false;
    file_ = false;
    filters_ = 0;
    deflated_ = false;
  }
  if (text == "stream" && !packed) stream(in, source);
}

bool Scan::tokens(Source& source, std::uint64_t begin, bool packed) {
  Bytewise in(source, begin);
  std::string text;
  std::uint64_t steps = 0;
  for (int c = in.peek(); c >= 0; c = in.peek()) {
    if (++steps % 65536 == 0) {
      if (!packed) session_.release(in.position() - std::min(in.position(), k_held_tail));
      if (!session_.budget().time_left()) {
        session_.gap(Reason::budget, Reach::load, packed ? 0 : in.position(), "out of time");
        return false;
      }
    }
    if (c == '/') {
      name(in, packed);
    } else if (c == '(') {
      in.take();
      skip_string(in);
    } else if (c == '%') {
      std::string comment;
      for (c = in.take(); c >= 0 && c != '\n' && c != '\r'; c = in.take())
        if (comment.size() < 8) comment += static_cast<char>(c);
      if (!packed && comment.starts_with("%%EOF")) last_end_ = in.position();
    } else if (c >= 'a' && c <= 'z') {
      text.clear();
      for (; c >= 'a' && c <= 'z'; c = in.peek()) {
        if (text.size() < 16) text += static_cast<char>(c);
        in.take();
      }
      word(in, source, text, packed);
    } else {
      in.take();
    }
  }
  return true;
}

Reading Scan::run() {
  const Bytes head = source_.view(0, k_header_window);
  const std::size_t at = as_text(head).find("%PDF-");
  if (at == std::string_view::npos) return Reading::none;
  const bool whole = tokens(source_, at, false);
  if (encrypted_) {
    tell(k_active, 0, "/Encrypt");
    // Names of objects that are not packed are readable all the same.
    if (packed_objects_)
      session_.gap(Reason::encrypted, Reach::data, 0, "the document's objects are encrypted");
  }
  if (last_end_ == 0) {
    session_.gap(Reason::truncated, Reach::data, source_.wait_end(), "the document has no end");
    return Reading::broken;
  }
  session_.ends_at(last_end_);
  return whole ? Reading::valid : Reading::broken;
}

Claim probe(const Probe& probe) {
  const std::string_view head =
      as_text(probe.head.first(std::min(probe.head.size(), k_header_window)));
  const std::size_t at = head.find("%PDF-");
  if (at == std::string_view::npos || at + 5 >= head.size()) return Claim::no;
  const char version = head[at + 5];
  if (version < '1' || version > '2') return Claim::no;
  return at == 0 ? Claim::yes : Claim::maybe;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_pdf;
const Format format_pdf{
    .name = "pdf", .family = "pdf", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
