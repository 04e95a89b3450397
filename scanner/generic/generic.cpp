#include "scanner/generic/generic.hpp"

#include "scanner/codecs/codecs.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/formats/pickle/pickle.hpp"
#include "scanner/generic/executables.hpp"
#include "scanner/generic/text_value.hpp"
#include "scanner/generic/values.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace hubgate {
namespace {

constexpr std::array<Rule, 9> k_rules{{
    k_rule_hidden_executable,
    {"generic-archive", "structure", Severity::informational, Reach::data, "CWE-436", "AML.T0076",
     "POL-001", "a compressed file or archive lies inside bytes that no format claims"},
    {"generic-script", "script", Severity::suspicious, Reach::data, "CWE-506", "AML.T0018.002",
     "POL-008", "commands or code lie in bytes that should be data"},
    k_rule_embedded_script,
    k_rule_embedded_url,
    k_rule_value_pickle,
    k_rule_value_executable,
    k_rule_row_instructions,
    k_rule_row_hidden_text,
}};

const Rule& k_executable = k_rules[0];
const Rule& k_archive = k_rules[1];
const Rule& k_script = k_rules[2];

constexpr std::size_t k_step = std::size_t{512} << 10;
constexpr std::size_t k_ahead = 4096;       ///< a hit sees this much behind it
constexpr std::size_t k_behind = 256;       ///< and this much before it
constexpr std::uint64_t k_hits = 256;       ///< of one kind in one stream, and one more for
constexpr std::uint64_t k_hit_each = 65536; ///< each so many bytes of it; beyond: a gap
/// Tables have columns of pickles. These are bounded by the work that they make instead: bytes that
/// are tried, for each byte of the stream.
constexpr std::uint64_t k_pickles = 2'000'000;
constexpr std::uint64_t k_pickle_work = 64;
constexpr std::uint64_t k_pickle_work_free = std::uint64_t{16} << 20;

enum class Kind : std::uint8_t {
  executable,
  zip,
  sevenzip,
  gzip,
  xz,
  bzip2,
  zstd,
  lz4,
  rar,
  gguf,
  safetensors,
  npy,
  script,
  command,
  pickle,
};
constexpr std::size_t k_kinds = 15;

constexpr std::array<std::string_view, k_kinds> k_names{
    "executable", "zip",  "7z",          "gzip", "xz",     "bzip2",   "zstd",  "lz4",
    "rar",        "gguf", "safetensors", "npy",  "script", "command", "pickle"};

struct Magic {
  std::string_view bytes;
  Kind kind;
  bool (*second)(std::uint8_t) = nullptr; ///< of one-byte magics: what may follow
};

constexpr bool is_name(std::uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
constexpr bool is_protocol(std::uint8_t c) {
  return c >= 1 && c <= 5;
}
constexpr bool is_short(std::uint8_t c) {
  return c >= 2 && c <= 64;
}

using namespace std::string_view_literals;

constexpr std::array<Magic, 28> k_magics{{
    {"\x7f"
     "ELF"sv,
     Kind::executable},
    {"MZ"sv, Kind::executable},
    {"\xce\xfa\xed\xfe"sv, Kind::executable},
    {"\xcf\xfa\xed\xfe"sv, Kind::executable},
    {"\xfe\xed\xfa\xce"sv, Kind::executable},
    {"\xfe\xed\xfa\xcf"sv, Kind::executable},
    {"\xca\xfe\xba\xbe\0\0\0"sv, Kind::executable},
    {"PK\3\4"sv, Kind::zip},
    {"PK\5\6"sv, Kind::zip},
    {"7z\xbc\xaf\x27\x1c"sv, Kind::sevenzip},
    {"\x1f\x8b\x08"sv, Kind::gzip},
    {"\xfd"
     "7zXZ\0"sv,
     Kind::xz},
    {"BZh"sv, Kind::bzip2},
    {"\x28\xb5\x2f\xfd"sv, Kind::zstd},
    {"\x04\x22\x4d\x18"sv, Kind::lz4},
    {"Rar!\x1a\x07"sv, Kind::rar},
    {"GGUF"sv, Kind::gguf},
    {"{\""sv, Kind::safetensors},
    {"\x93NUMPY"sv, Kind::npy},
    {"#!/"sv, Kind::script},
    {"/dev/tcp/"sv, Kind::command},
    {"powershell"sv, Kind::command},
    {"PowerShell"sv, Kind::command},
    {"<script"sv, Kind::command},
    // Pickles begin with PROTO, or import in their first opcodes: GLOBAL, INST, SHORT_BINUNICODE.
    {"\x80"sv, Kind::pickle, is_protocol},
    {"c"sv, Kind::pickle, is_name},
    {"i"sv, Kind::pickle, is_name},
    {"\x8c"sv, Kind::pickle, is_short},
}};

// One bit a magic: `first` has it for its first byte, `second` for its second one. Both tables stay
// in the first cache, and a position costs two loads and an "and".
struct PairFilter {
  std::array<std::uint32_t, 256> first{};
  std::array<std::uint32_t, 256> second{};
  constexpr PairFilter() {
    static_assert(k_magics.size() <= 32);
    for (std::size_t i = 0; i < k_magics.size(); ++i) {
      first[static_cast<std::uint8_t>(k_magics[i].bytes[0])] |= std::uint32_t{1} << i;
      for (unsigned c = 0; c < 256; ++c) {
        const auto byte = static_cast<std::uint8_t>(c);
        const bool fits = k_magics[i].second != nullptr
                              ? k_magics[i].second(byte)
                              : byte == static_cast<std::uint8_t>(k_magics[i].bytes[1]);
        if (fits) second[c] |= std::uint32_t{1} << i;
      }
    }
  }
};

constexpr PairFilter k_filter;

struct Hit {
  std::uint64_t offset;
  Kind kind;
};

class Hunt {
public:
  Hunt(Source& source, Session& session, std::uint64_t size)
      : source_(source), session_(session), size_(size) {}
  void run();

private:
  void sweep(Bytes window, std::uint64_t base, std::size_t from, std::size_t to);
  void note(Bytes window, std::uint64_t base, std::size_t at);
  bool plausible(Kind kind, Bytes window, std::size_t at, std::uint64_t offset) const;
  void judge(const Hit& hit);
  bool opens(const Hit& hit);
  void text_around(const Hit& hit);
  void embed(const Hit& hit);
  void try_pickle(std::uint64_t offset);
  std::uint64_t most(Kind kind) const {
    return kind == Kind::pickle ? k_pickles : k_hits + size_ / k_hit_each;
  }

  Source& source_;
  Session& session_;
  std::uint64_t size_;
  std::vector<Hit> hits_;
  std::array<std::size_t, k_kinds> seen_{};
  std::uint64_t pickle_end_ = 0; ///< what lies before it was part of a pickle
  std::uint64_t pickle_tries_ = 0;
  std::uint64_t pickle_work_ = 0; ///< bytes that were tried as pickles
};

// "module\nname\n" behind GLOBAL and INST.
bool names_follow(Bytes bytes) {
  std::size_t i = 0;
  for (int lines = 0; lines < 2; ++lines) {
    const std::size_t begin = i;
    while (i < bytes.size() && i - begin < 256 && (is_name(bytes[i]) || bytes[i] == '.'))
      ++i;
    if (i == begin || i >= bytes.size() || (bytes[i] != '\n' && bytes[i] != '\r')) return false;
    i += bytes[i] == '\r' && i + 1 < bytes.size() && bytes[i + 1] == '\n' ? 2 : 1;
  }
  return true;
}

// Counts what a pickle would call.
class Calls final : public pickle::Observer {
public:
  void on_call(const pickle::View&, std::uint64_t) override { ++count; }
  std::uint64_t count = 0;
};

bool printable_run(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t c) {
    return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r';
  });
}

// What a look at the window can rule out. Everything that remains is looked at again by judge().
bool Hunt::plausible(Kind kind, Bytes window, std::size_t at, std::uint64_t offset) const {
  const Bytes rest = window.subspan(at, std::min(k_ahead, window.size() - at));
  const auto byte = [&](std::size_t i) { return i < rest.size() ? rest[i] : std::uint8_t{0}; };
  Reader in(rest);
  switch (kind) {
  case Kind::executable: {
    if (byte(0) != 'M') return true;
    in.seek(60);
    const std::uint64_t header = in.le<std::uint32_t>().value_or(0);
    return header >= 4 && header < (std::uint64_t{1} << 20) && header < size_ - offset;
  }
  case Kind::zip: {
    if (byte(2) == 5) return rest.size() >= 22 && byte(4) == 0 && byte(5) == 0;
    in.seek(4);
    const auto version = in.le<std::uint16_t>().value_or(~std::uint16_t{0});
    in.skip(2);
    const auto method = in.le<std::uint16_t>().value_or(~std::uint16_t{0});
    in.skip(16);
    const auto name = in.le<std::uint16_t>().value_or(0);
    const bool known = method <= 20 || (method >= 93 && method <= 99);
    return (version & 0xff) <= 63 && known && name > 0 && name <= 1024 && rest.size() > 30u + name;
  }
  case Kind::gzip:
    return (byte(3) & 0xe0) == 0 && (byte(8) == 0 || byte(8) == 2 || byte(8) == 4) &&
           (byte(9) <= 13 || byte(9) == 255);
  case Kind::bzip2:
    return byte(3) >= '1' && byte(3) <= '9' &&
           starts_with(rest.subspan(std::min<std::size_t>(4, rest.size())), "1AY&SY");
  case Kind::zstd:
    return (byte(4) & 0x08) == 0;
  case Kind::lz4:
    return (byte(4) & 0xc2) == 0x40 && (byte(5) & 0x8f) == 0;
  case Kind::gguf: {
    in.seek(4);
    const auto version = in.le<std::uint32_t>().value_or(0);
    return version >= 1 && version <= 3;
  }
  case Kind::safetensors: {
    if (at < 8) return false;
    const auto length = Reader(window.subspan(at - 8, 8)).le<std::uint64_t>().value_or(0);
    return length >= 2 && length <= size_ - offset && length <= 100'000'000 &&
           printable_run(rest.first(static_cast<std::size_t>(
               std::min<std::uint64_t>({length, rest.size(), std::uint64_t{32}}))));
  }
  case Kind::npy:
    return byte(6) >= 1 && byte(6) <= 3 && byte(7) == 0;
  case Kind::script: {
    const std::string_view text = as_text(rest);
    const std::size_t line = text.find('\n');
    if (line == std::string_view::npos || line > 100 || !printable_run(rest.first(line)))
      return false;
    const std::string_view path = text.substr(0, line);
    return path.find("/bin/") != std::string_view::npos ||
           path.find("/usr/") != std::string_view::npos;
  }
  case Kind::pickle: {
    if (byte(0) == 0x80) return pickle::looks_like_pickle(rest) == Claim::yes;
    if (byte(0) != 0x8c) return names_follow(rest.subspan(1));
    // Two texts and STACK_GLOBAL: the first is a name, and a text or its memo slot follows.
    const std::size_t length = byte(1);
    if (rest.size() < length + 3) return false;
    const Bytes name = rest.subspan(2, length);
    const std::uint8_t next = byte(2 + length);
    return (next == 0x8c || next == 0x94 || next == 'q') &&
           std::all_of(name.begin(), name.end(),
                       [](std::uint8_t c) { return is_name(c) || c == '.'; });
  }
  case Kind::command:
  case Kind::sevenzip:
  case Kind::xz:
  case Kind::rar:
    break;
  }
  return true;
}

void Hunt::note(Bytes window, std::uint64_t base, std::size_t at) {
  for (const Magic& magic: k_magics) {
    if (!starts_with(window.subspan(at), magic.bytes)) continue;
    if (magic.second != nullptr && (at + 1 >= window.size() || !magic.second(window[at + 1])))
      continue;
    const std::uint64_t offset = base + at;
    if (!plausible(magic.kind, window, at, offset)) continue;
    std::size_t& seen = seen_[static_cast<std::size_t>(magic.kind)];
    // Zips are read to their end from the first header on; the others can't be told apart.
    if (magic.kind == Kind::zip && seen > 0) continue;
    if (++seen <= most(magic.kind)) hits_.push_back({offset, magic.kind});
  }
}

void Hunt::sweep(Bytes window, std::uint64_t base, std::size_t from, std::size_t to) {
  if (window.size() < 2 || from >= window.size() - 1) return;
  // Plain pointers: this loop runs over every byte of every weight.
  const std::uint8_t* const bytes = window.data();
  const std::size_t end = std::min(to, window.size() - 1);
  constexpr std::size_t k_block = 16;
  std::size_t i = from;
  for (; end - i >= k_block; i += k_block) {
    std::uint32_t any = 0;
    std::uint32_t before = k_filter.first[bytes[i]];
    for (std::size_t k = 1; k <= k_block; ++k) {
      any |= before & k_filter.second[bytes[i + k]];
      before = k_filter.first[bytes[i + k]];
    }
    if (any == 0) [[likely]]
      continue;
    for (std::size_t k = 0; k < k_block; ++k)
      if ((k_filter.first[bytes[i + k]] & k_filter.second[bytes[i + k + 1]]) != 0)
        note(window, base, i + k);
  }
  for (; i < end; ++i)
    if ((k_filter.first[bytes[i]] & k_filter.second[bytes[i + 1]]) != 0) note(window, base, i);
}

// Whether the bytes at the hit really are what their magic says.
bool Hunt::opens(const Hit& hit) {
  DecoderPtr decoder;
  switch (hit.kind) {
  case Kind::gzip:
    decoder = decode_gzip(source_, hit.offset);
    break;
  case Kind::xz:
    decoder = decode_xz(source_, hit.offset);
    break;
  case Kind::bzip2:
    decoder = decode_bzip2(source_, hit.offset);
    break;
  case Kind::zstd:
    decoder = decode_zstd(source_, hit.offset);
    break;
  case Kind::lz4:
    decoder = decode_lz4(source_, hit.offset);
    break;
  default:
    return true;
  }
  return decodes(*decoder);
}

void Hunt::embed(const Hit& hit) {
  const std::string_view name = k_names[static_cast<std::size_t>(hit.kind)];
  session_.find(k_archive, hit.offset, 0, std::string(name) + " data");
  SubSource rest(source_, hit.offset, size_ - hit.offset);
  session_.embedded(std::string(name) + "@" + std::to_string(hit.offset), rest);
}

// The printable text that the hit stands in, searched for code.
void Hunt::text_around(const Hit& hit) {
  const std::uint64_t from = hit.offset - std::min<std::uint64_t>(hit.offset, k_behind);
  const Bytes bytes = source_.view(from, k_ahead);
  const auto is_text = [](std::uint8_t c) {
    return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n';
  };
  auto begin = static_cast<std::size_t>(hit.offset - from);
  if (begin >= bytes.size()) return;
  auto end = begin;
  while (begin > 0 && is_text(bytes[begin - 1]))
    --begin;
  while (end < bytes.size() && is_text(bytes[end]))
    ++end;
  const std::string_view text = as_text(bytes.subspan(begin, end - begin));
  const auto script = find_script(text);
  if (!script) return;
  session_.find(k_script, from + begin + script->offset, script->length,
                std::string(script->what) + ": " + std::string(text.substr(script->offset, 300)));
}

// Only what would call something is told: bytes that merely could be opcodes do nothing.
void Hunt::try_pickle(std::uint64_t offset) {
  if (offset < pickle_end_) return;
  if (pickle_work_ > k_pickle_work_free + size_ * k_pickle_work ||
      (++pickle_tries_ % 1024 == 0 && !session_.budget().time_left())) {
    session_.gap(Reason::budget, Reach::data, 0, "more places look like pickles than can be tried");
    pickle_end_ = size_;
    return;
  }
  std::uint64_t begin = offset;
  // INST takes its arguments from a MARK in front of it.
  if (starts_with(source_.view(offset, 1), "i")) {
    const std::uint64_t from =
        std::max(pickle_end_, offset - std::min<std::uint64_t>(offset, k_behind));
    const std::string_view before =
        as_text(source_.view(from, static_cast<std::size_t>(offset - from)));
    const std::size_t mark = before.rfind('(');
    if (mark == std::string_view::npos) return;
    begin = from + mark;
  }
  Calls calls;
  const auto result = pickle::scan_pickle(
      source_, session_, begin,
      {.streams = pickle::Options::Streams::one, .reports = pickle::Options::Reports::none},
      &calls);
  pickle_work_ += result.end - begin + 1;
  // The stream itself was tried by the pickle format.
  if (calls.count == 0 || (begin == 0 && result.end >= size_)) return;
  pickle_end_ = std::max(result.end, begin + 1);
  SubSource inner(source_, begin, pickle_end_ - begin);
  session_.embedded("pickle@" + std::to_string(begin), inner);
}

void Hunt::judge(const Hit& hit) {
  switch (hit.kind) {
  case Kind::executable:
    if (const auto program = find_executable(source_, hit.offset, size_)) {
      FindOptions options;
      if (!program->complete) options.severity = Severity::suspicious;
      session_.find(k_executable, hit.offset, 0, program->what, options);
    }
    return;
  case Kind::script:
  case Kind::command:
    text_around(hit);
    return;
  case Kind::pickle:
    try_pickle(hit.offset);
    return;
  case Kind::rar:
    session_.find(k_archive, hit.offset, 0, "a RAR archive", {.severity = Severity::suspicious});
    session_.gap(Reason::unsupported, Reach::data, hit.offset, "a RAR archive");
    return;
  case Kind::safetensors:
    if (hit.offset > 8) embed({hit.offset - 8, hit.kind});
    return;
  default:
    // What begins the stream was tried by its own format already.
    if (hit.offset > 0 && opens(hit)) embed(hit);
  }
}

void Hunt::run() {
  for (std::uint64_t at = 0; at < size_;) {
    const std::uint64_t begin = at - std::min<std::uint64_t>(at, k_behind);
    const Bytes window = source_.view(begin, k_behind + k_step + k_ahead);
    const auto from = static_cast<std::size_t>(at - begin);
    if (window.size() <= from) break;
    const std::size_t to = std::min(window.size(), from + k_step);
    sweep(window, begin, from, to);
    at = begin + to;
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, at, "out of time in the generic scan");
      break;
    }
  }
  for (std::size_t kind = 0; kind < k_kinds; ++kind)
    if (seen_[kind] > most(static_cast<Kind>(kind)))
      session_.gap(Reason::budget, Reach::data, 0,
                   std::to_string(seen_[kind]) + " places look like " + std::string(k_names[kind]));
  for (const Hit& hit: hits_) {
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, hit.offset, "out of time in the generic scan");
      break;
    }
    judge(hit);
  }
}

} // namespace

void generic_scan(Source& source, Session& session) {
  const std::uint64_t end = source.wait_end();
  Hunt(source, session, end).run();
  pickle::find_pickles(source, session, 0, end);
}

std::span<const Rule> generic_rules() {
  return k_rules;
}

} // namespace hubgate
