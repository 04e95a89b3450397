// Avro object container files (Avro 1.12 specification, "Object Container Files"): a schema, a sync
// marker, and blocks of records between them. See README.md.
#include "scanner/codecs/blocks.hpp"
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/generic.hpp"
#include "scanner/generic/values.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view k_magic = "Obj\1"sv;
constexpr std::uint64_t k_sync = 16;
constexpr std::uint64_t k_max_schema = std::uint64_t{16} << 20;
constexpr std::uint64_t k_text = std::uint64_t{1} << 20; ///< of a block, looked at as text

constexpr std::array<Rule, 5> k_rules{{
    {"avro-structure", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "DAT-007", "a count, length or marker of the file can't be true"},
    {"avro-java-class", "code", Severity::suspicious, Reach::load, "CWE-470", "AML.T0010.002",
     "DAT-007", "the schema names a Java class that Java's readers make an object of"},
    k_rule_value_pickle,
    k_rule_row_instructions,
    k_rule_row_hidden_text,
}};
const Rule& k_structure = k_rules[0];
const Rule& k_java_class = k_rules[1];

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), in_(source, k_magic.size()), values_(session) {}
  Reading run();

private:
  std::optional<std::int64_t> number();
  bool header();
  bool entry();
  void schema(std::uint64_t begin, std::uint64_t size);
  bool block(std::uint64_t begin, std::uint64_t size);
  std::unique_ptr<Decoder> decoder(std::uint64_t begin, std::uint64_t size);
  Reading broken(std::uint64_t at, std::string_view why);

  Source& source_;
  Session& session_;
  Cursor in_;
  ValueJudge values_;
  std::string codec_ = "null";
  std::string sync_;
  bool schema_ = false;
};

// A zigzag varint.
std::optional<std::int64_t> Scan::number() {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 10; ++i) {
    const auto byte = in_.le<std::uint8_t>();
    if (!byte) return std::nullopt;
    value |= std::uint64_t{*byte & 0x7fU} << (7 * i);
    if (*byte < 0x80)
      return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
  }
  return std::nullopt;
}

Reading Scan::broken(std::uint64_t at, std::string_view why) {
  const bool cut = source_.view(at, 1).empty() || source_.wait_end() <= in_.position();
  if (!cut) session_.find(k_structure, at, 0, why);
  session_.gap(cut ? Reason::truncated : Reason::malformed, Reach::data, at, why);
  return Reading::broken;
}

// CVE-2024-47561: "java-class" and its kin are classes that org.apache.avro makes objects of.
void Scan::schema(std::uint64_t begin, std::uint64_t size) {
  schema_ = true;
  constexpr std::array<std::string_view, 8> k_harmless{"[B",
                                                       "java.math.BigDecimal",
                                                       "java.util.List",
                                                       "java.util.Map",
                                                       "java.util.ArrayList",
                                                       "java.util.HashMap",
                                                       "java.util.Set",
                                                       "java.util.HashSet"};
  JsonReader json(source_, begin, begin + size, {.depth = 64});
  bool is_class = false;
  for (;;) {
    const JsonEvent event = json.next();
    if (event == JsonEvent::error || event == JsonEvent::end) return;
    if (event == JsonEvent::key) {
      const std::string_view name = json.text();
      is_class = name == "java-class" || name == "java-key-class" || name == "java-element-class";
      continue;
    }
    const std::string_view name = json.text();
    if (is_class && event == JsonEvent::string && !name.starts_with("java.lang.") &&
        std::find(k_harmless.begin(), k_harmless.end(), name) == k_harmless.end())
      session_.find(k_java_class, json.offset(), name.size(), name);
    is_class = false;
  }
}

// A pair of the metadata: "avro.schema", "avro.codec", or somebody's own.
bool Scan::entry() {
  const auto key_size = number();
  if (!key_size || *key_size < 0 || *key_size > 65536) return false;
  const auto key_bytes = in_.take(static_cast<std::size_t>(*key_size));
  if (!key_bytes) return false;
  const std::string key(as_text(*key_bytes));
  const auto size = number();
  if (!size || *size < 0 || static_cast<std::uint64_t>(*size) > k_max_schema) return false;
  const std::uint64_t begin = in_.position();
  const auto length = static_cast<std::uint64_t>(*size);
  if (length > 0 && source_.view(begin + length - 1, 1).empty()) return false;
  if (key == "avro.codec") {
    if (length > 64) return false;
    codec_ = as_text(source_.view(begin, static_cast<std::size_t>(length)));
  } else if (length > 0) {
    if (key == "avro.schema") schema(begin, length);
    SubSource value(source_, begin, length);
    session_.embedded(key.substr(0, 100), value);
  }
  in_.seek(begin + length);
  return true;
}

bool Scan::header() {
  constexpr std::int64_t k_most = 100'000;
  std::int64_t entries = 0;
  for (;;) {
    auto count = number();
    if (!count) return false;
    if (*count == 0) break;
    if (*count < 0) {
      if (*count < -k_most || !number()) return false; // the block's length in bytes
      count = -*count;
    }
    entries += *count;
    if (*count > k_most || entries > k_most) return false;
    for (std::int64_t i = 0; i < *count; ++i)
      if (!entry()) return false;
  }
  const auto sync = in_.take(k_sync);
  if (!sync) return false;
  sync_ = as_text(*sync);
  return schema_;
}

std::unique_ptr<Decoder> Scan::decoder(std::uint64_t begin, std::uint64_t size) {
  const std::uint64_t end = begin + size;
  if (codec_ == "null") return decode_stored(source_, begin, end);
  if (codec_ == "deflate") return decode_deflate(source_, begin, end);
  // Behind Snappy's block stands the checksum of what it unpacks to.
  if (codec_ == "snappy") return decode_snappy_block(source_, begin, size < 4 ? begin : end - 4);
  if (codec_ == "zstandard") return decode_zstd(source_, begin, end);
  if (codec_ == "bzip2") return decode_bzip2(source_, begin, end);
  if (codec_ == "xz") return decode_xz(source_, begin, end);
  return nullptr;
}

bool Scan::block(std::uint64_t begin, std::uint64_t size) {
  auto unpacked = decoder(begin, size);
  if (!unpacked) {
    session_.gap(Reason::unsupported, Reach::data, begin, "blocks are packed with " + codec_);
    return false;
  }
  DecodedSource content(std::move(unpacked), session_.budget());
  generic_scan(content, session_);
  values_.look_text(content.view(0, k_text), "records", begin);
  if (content.fault() == Fault::none) return true;
  session_.gap(content.fault() == Fault::budget      ? Reason::budget
               : content.fault() == Fault::truncated ? Reason::truncated
                                                     : Reason::malformed,
               Reach::data, begin, "a block can't be unpacked");
  return content.fault() != Fault::budget;
}

Reading Scan::run() {
  if (!header()) return broken(in_.position(), "the metadata can't be read");
  const std::uint64_t end = source_.wait_end();
  bool told = false;
  while (in_.position() < end) {
    const std::uint64_t begin = in_.position();
    const auto records = number();
    const auto size = number();
    if (!records || !size || *records < 0 || *size < 0 ||
        static_cast<std::uint64_t>(*size) > end - in_.position())
      return broken(begin, "a block with an impossible length");
    const std::uint64_t data = in_.position();
    if (*size > 0 && !told) told = !block(data, static_cast<std::uint64_t>(*size));
    in_.seek(data + static_cast<std::uint64_t>(*size));
    const auto sync = in_.take(k_sync);
    if (!sync || as_text(*sync) != sync_)
      return broken(data + static_cast<std::uint64_t>(*size), "no sync marker behind a block");
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, begin, "out of time");
      break;
    }
    session_.release(begin);
  }
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  return starts_with(probe.head, k_magic) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_avro;
const Format format_avro{"avro", "avro", probe, scan, k_rules};

} // namespace hubgate
