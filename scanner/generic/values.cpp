#include "scanner/generic/values.hpp"

#include "scanner/codecs/codecs.hpp"
#include "scanner/formats/pickle/pickle.hpp"
#include "scanner/generic/executables.hpp"
#include "scanner/generic/text_value.hpp"
#include "scanner/prose/prose.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t k_shortest = 8; ///< no pickle that calls something is shorter

class Calls final : public pickle::Observer {
public:
  void on_call(const pickle::View& /*object*/, std::uint64_t /*offset*/) override { ++count; }
  std::uint64_t count = 0;
};

struct Packed {
  std::string_view magic;
  std::string_view name;
  DecoderPtr (*decode)(Source&, std::uint64_t, std::uint64_t);
};

constexpr std::array<Packed, 9> k_packed{{
    {"PK\3\4"sv, "zip", nullptr},
    {"7z\xbc\xaf\x27\x1c"sv, "7z", nullptr},
    {"Rar!\x1a\x07"sv, "rar", nullptr},
    {"\x93NUMPY"sv, "npy", nullptr},
    {"\x1f\x8b\x08"sv, "gzip", decode_gzip},
    {"\xfd"
     "7zXZ\0"sv,
     "xz", decode_xz},
    {"BZh"sv, "bzip2", decode_bzip2},
    {"\x28\xb5\x2f\xfd"sv, "zstd", decode_zstd},
    {"\x04\x22\x4d\x18"sv, "lz4", decode_lz4},
}};

// How base64 of a pickle of protocol 2 to 5 begins, and of "cos\n", "cposix\n", "cbuiltins\n",
// "cnt\n", "csub…": text by itself, so the first letters are enough.
constexpr std::array<std::string_view, 9> k_base64{
    "gAJ", "gAN", "gAR", "gAS", "gAU", "gAV", "Y29zC", "Y3Bvc2l4C", "Y19fYnVpbHRpbl"};

bool may_be_executable(Bytes value) {
  return starts_with(value, "\x7f"
                            "ELF") ||
         starts_with(value, "MZ") || starts_with(value, "\xce\xfa\xed\xfe") ||
         starts_with(value, "\xcf\xfa\xed\xfe") || starts_with(value, "\xca\xfe\xba\xbe\0\0\0"sv) ||
         starts_with(value, "\xfe\xed\xfa");
}

// Opcodes that an unheaded pickle begins with, followed by what they need.
bool may_be_old_pickle(Bytes value) {
  if (value[0] == 'c') {
    const std::string_view head = as_text(value).substr(0, 80);
    return head.find('\n') != std::string_view::npos;
  }
  return value[0] == '(' && (value[1] == 'i' || value[1] == 'c' || value[1] == 'd' ||
                             value[1] == 'l' || value[1] == 'S');
}

int base64_value(std::uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

bool contains(Bytes text, std::string_view needle) {
  return text.size() >= needle.size() &&
         memmem(text.data(), text.size(), needle.data(), needle.size()) != nullptr;
}

} // namespace

// Only what is whole or would call something is a pickle: hashes and ciphers begin like one too.
void ValueJudge::pickle(Source& value, std::uint64_t size, std::string_view name,
                        std::uint64_t offset) {
  Calls calls;
  const auto result = pickle::scan_pickle(
      value, session_, 0,
      {.streams = pickle::Options::Streams::one, .reports = pickle::Options::Reports::none},
      &calls);
  const bool whole = result.state == pickle::Result::State::complete && result.end == size;
  if (calls.count == 0 && !(whole && starts_with(value.view(0, 1), "\x80"))) return;
  if (!told_pickle_) {
    told_pickle_ = true;
    session_.find(k_rule_value_pickle, offset, size, std::string(name) + " holds a pickle");
  }
  if (calls.count > 0) session_.embedded(std::string(name) + "@" + std::to_string(offset), value);
}

void ValueJudge::base64(Source& value, std::string_view name, std::uint64_t offset) {
  constexpr std::size_t k_most = std::size_t{8} << 20;
  std::vector<std::uint8_t> out;
  std::uint32_t buffer = 0;
  unsigned filled = 0;
  for (const std::uint8_t c: value.view(0, k_most)) {
    const int digit = base64_value(c);
    if (digit < 0) {
      if (c == '\n' || c == '\r') continue;
      break;
    }
    buffer = (buffer << 6) | static_cast<std::uint32_t>(digit);
    filled += 6;
    if (filled < 8) continue;
    filled -= 8;
    out.push_back(static_cast<std::uint8_t>(buffer >> filled));
  }
  if (out.size() < k_shortest) return;
  MemorySource decoded(out);
  pickle(decoded, out.size(), std::string(name) + "!base64", offset);
}

void ValueJudge::packed(Source& value, std::string_view name, std::uint64_t offset) {
  const Bytes bytes = value.view(0, 16);
  const std::vector<std::uint8_t> head(bytes.begin(), bytes.end());
  for (const Packed& packed: k_packed) {
    if (!starts_with(head, packed.magic)) continue;
    if (packed.decode != nullptr && !decodes(*packed.decode(value, 0, k_to_the_end))) return;
    session_.embedded(std::string(name) + "@" + std::to_string(offset), value);
    return;
  }
}

ValueJudge::Guess ValueJudge::guess(Bytes head) {
  if (head.size() < k_shortest) return Guess::nothing;
  switch (head[0]) {
  case 0x80:
    return head[1] >= 1 && head[1] <= 5 ? Guess::pickle : Guess::nothing;
  case 'c':
  case '(':
    return may_be_old_pickle(head) ? Guess::pickle : Guess::nothing;
  case 'g':
  case 'Y':
    return std::any_of(k_base64.begin(), k_base64.end(),
                       [&](std::string_view magic) { return starts_with(head, magic); })
               ? Guess::base64
               : Guess::nothing;
  default:
    break;
  }
  if (may_be_executable(head)) return Guess::executable;
  return std::any_of(k_packed.begin(), k_packed.end(),
                     [&](const Packed& packed) { return starts_with(head, packed.magic); })
             ? Guess::packed
             : Guess::nothing;
}

void ValueJudge::judge(Guess guess, Source& value, std::uint64_t size, std::string_view name,
                       std::uint64_t offset) {
  switch (guess) {
  case Guess::nothing:
    return;
  case Guess::pickle:
    return pickle(value, size, name, offset);
  case Guess::base64:
    return base64(value, name, offset);
  case Guess::packed:
    return packed(value, name, offset);
  case Guess::executable:
    break;
  }
  const auto program = find_executable(value, 0, size);
  if (!program) return;
  FindOptions options;
  if (!program->complete) options.severity = Severity::suspicious;
  session_.find(k_rule_value_executable, offset, size,
                std::string(name) + " holds " + program->what, options);
}

void ValueJudge::look(Bytes value, std::string_view name, std::uint64_t offset) {
  const Guess kind = guess(value);
  if (kind == Guess::nothing) return;
  MemorySource source(value);
  judge(kind, source, value.size(), name, offset);
}

void ValueJudge::look(Source& source, std::uint64_t begin, std::uint64_t length,
                      std::string_view name, std::uint64_t offset) {
  const Guess kind =
      guess(source.view(begin, static_cast<std::size_t>(std::min<std::uint64_t>(length, 128))));
  if (kind == Guess::nothing) return;
  SubSource value(source, begin, length);
  judge(kind, value, length, name, offset);
}

std::optional<std::size_t> find_override(std::string_view text) {
  // The grammar costs a copy, so only where its usual noun stands.
  constexpr std::string_view k_noun = "nstructions";
  constexpr std::size_t k_before = 80;
  for (std::size_t at = text.find(k_noun); at != std::string_view::npos;
       at = text.find(k_noun, at + 1)) {
    const std::size_t begin = at > k_before ? at - k_before : 0;
    // One byte more, so that the window does not end the word.
    const std::string_view around = text.substr(begin, at - begin + k_noun.size() + 1);
    if (prose::find_instructions(around).overrides) return at;
  }
  return std::nullopt;
}

void ValueJudge::look_text(Bytes bytes, std::string_view name, std::uint64_t offset) {
  const std::string_view text = as_text(bytes);
  if (const auto at = told_instructions_ ? std::nullopt : find_override(text)) {
    told_instructions_ = true;
    session_.find(k_rule_row_instructions, offset, bytes.size(),
                  std::string(name) + ": " +
                      std::string(text.substr(*at > 60 ? *at - 60 : 0, 160)));
  }
  // Tag characters U+E0020 to U+E007F spell ASCII that is not shown; flags of three nations have up
  // to six of them behind a black flag, so it takes more.
  if (told_hidden_ || !contains(bytes, "\xf3\xa0\x81")) return;
  std::size_t run = 0;
  for (std::size_t i = 0; i + 3 < bytes.size();) {
    const bool tag =
        bytes[i] == 0xf3 && bytes[i + 1] == 0xa0 && (bytes[i + 2] == 0x80 || bytes[i + 2] == 0x81);
    run = tag ? run + 1 : 0;
    if (run >= 12) {
      told_hidden_ = true;
      session_.find(k_rule_row_hidden_text, offset + i, 4 * run,
                    std::string(name) + " holds text in tag characters");
      return;
    }
    i += tag ? 4 : 1;
  }
}

} // namespace hubgate
