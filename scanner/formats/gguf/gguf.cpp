// GGUF: counts, key-values, tensor infos, then the tensors at aligned offsets
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/release.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/gguf/metadata.hpp"
#include "scanner/generic/tensor_name.hpp"
#include "scanner/generic/tensor_sample.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_max_key = 65535;        ///< the specification's own limit
constexpr std::size_t k_max_tensor_name = 4096; ///< ggml stops at 64
constexpr std::size_t k_ggml_name = 63;         ///< GGML_MAX_NAME less its zero
constexpr std::uint32_t k_max_dims = 4;         ///< GGML_MAX_DIMS
constexpr std::size_t k_max_string = std::size_t{32} << 20;
constexpr std::uint64_t k_max_tensors = 1'000'000;
constexpr std::uint64_t k_max_keys = 1'000'000;
constexpr std::uint64_t k_max_alignment = std::uint64_t{1} << 16;
constexpr std::uint64_t k_long_element = 512; ///< no token of a vocabulary is that long

constexpr std::string_view k_atlas = "AML.T0018.002";

constexpr std::array<Rule, 11> k_rules{{
    {"gguf-bounds", "structure", Severity::suspicious, Reach::load, "CWE-190", k_atlas, "GGF-005",
     "a count or length in the header can't be true, which has broken readers before"},
    {"gguf-tensor-extent", "structure", Severity::suspicious, Reach::load, "CWE-125", k_atlas,
     "GGF-005 GGF-006", "a tensor's size, offset or alignment leads outside of its place"},
    {"gguf-layout", "structure", Severity::suspicious, Reach::data, "CWE-436", k_atlas,
     "GGF-006 GGF-008", "tensors overlap or leave bytes that belong to none"},
    {"gguf-type", "structure", Severity::suspicious, Reach::load, "CWE-129", "AML.T0029", "GGF-007",
     "a value or tensor type that does not exist, or an array of arrays"},
    {"gguf-duplicate", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "GGF-008", "a key or tensor name stands twice, so two readers load two models"},
    {"gguf-value", "structure", Severity::suspicious, Reach::load, "CWE-20", k_atlas, "GGF-005",
     "a key that steers the reader has an impossible value"},
    gguf::k_rule_tokenizer,
    gguf::k_rule_split,
    k_rule_tensor_name,
    k_rule_steganography,
    k_rule_not_finite,
}};

const Rule& k_bounds = k_rules[0];
const Rule& k_extent = k_rules[1];
const Rule& k_layout = k_rules[2];
const Rule& k_type = k_rules[3];
const Rule& k_duplicate = k_rules[4];
const Rule& k_value = k_rules[5];

// enum ggml_type: elements of a block and its bytes; {0, 0} never was or was removed.
struct TensorType {
  std::uint16_t elements;
  std::uint16_t bytes;
};
constexpr std::array<TensorType, 42> k_tensor_types{{
    {1, 4},     {1, 2},     {32, 18},   {32, 20},  {0, 0},     {0, 0},     {32, 22},
    {32, 24},   {32, 34},   {32, 36},   {256, 84}, {256, 110}, {256, 144}, {256, 176},
    {256, 210}, {256, 292}, {256, 66},  {256, 74}, {256, 98},  {256, 50},  {32, 18},
    {256, 110}, {256, 82},  {256, 136}, {1, 1},    {1, 2},     {1, 4},     {1, 8},
    {1, 8},     {256, 56},  {1, 2},     {32, 18},  {32, 18},   {32, 18},   {256, 54},
    {256, 66},  {32, 18},   {32, 18},   {32, 18},  {32, 17},   {64, 36},   {128, 18},
}};

enum ValueType : std::uint32_t {
  k_bool = 7,
  k_string = 8,
  k_array = 9,
};

// Bytes of a value of fixed size, 0 for strings, arrays and what does not exist.
std::uint64_t size_of(std::uint32_t type) {
  constexpr std::array<std::uint8_t, 13> k_sizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < k_sizes.size() ? k_sizes[type] : 0;
}

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c: text)
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return hash ^ (hash >> 29);
}

bool has_twins(std::vector<std::uint64_t>& hashes) {
  std::sort(hashes.begin(), hashes.end());
  return std::adjacent_find(hashes.begin(), hashes.end()) != hashes.end();
}

/// 1: weights that stream by are sampled like those that are here.
constexpr std::string_view k_version = "gguf 2";

using Extent = SampledTensor;

// enum ggml_type.
Element element_of(std::uint32_t type) {
  return type == 0    ? Element::float32
         : type == 1  ? Element::float16
         : type == 30 ? Element::bfloat16
         : type == 28 ? Element::float64
                      : Element::other;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), in_(source), metadata_(session) {}
  Reading run();

private:
  template <std::integral T> std::optional<T> number() {
    return big_endian_ ? in_.be<T>() : in_.le<T>();
  }
  // Counts and lengths: 32 bits in version 1, 64 later.
  std::optional<std::uint64_t> count() {
    if (version_ != 1) return number<std::uint64_t>();
    const auto small = number<std::uint32_t>();
    return small ? std::optional<std::uint64_t>(*small) : std::nullopt;
  }
  bool read_text(std::uint64_t length, std::string& out);
  bool key_value();
  bool string_value(const std::string& key, bool element);
  bool array_value(const std::string& key);
  bool tensor();
  bool data();
  bool pad(std::uint64_t begin, std::uint64_t end);
  bool fits(std::uint64_t n) const {
    return !size_ || (in_.position() <= *size_ && n <= *size_ - in_.position());
  }
  bool refuse(const Rule& rule, std::string_view evidence);
  bool ended();

  Source& source_;
  Session& session_;
  Cursor in_;
  std::optional<std::uint64_t> size_;
  std::uint32_t version_ = 0;
  bool big_endian_ = false;
  std::uint64_t alignment_ = 32;
  std::uint64_t end_ = 0; ///< first byte behind the last tensor
  std::vector<std::uint64_t> keys_;
  std::vector<std::uint64_t> names_;
  std::vector<Extent> tensors_;
  gguf::Metadata metadata_;
};

bool Scan::refuse(const Rule& rule, std::string_view evidence) {
  session_.find(rule, in_.position(), 0, evidence);
  session_.gap(Reason::malformed, Reach::load, in_.position(), "the GGUF header can't be trusted");
  return false;
}

bool Scan::ended() {
  session_.gap(Reason::truncated, Reach::load, in_.position(),
               "the bytes end inside the GGUF header");
  return false;
}

bool Scan::read_text(std::uint64_t length, std::string& out) {
  out.clear();
  while (out.size() < length) {
    const auto piece = in_.take(
        static_cast<std::size_t>(std::min<std::uint64_t>(Cursor::k_window, length - out.size())));
    if (!piece) return ended();
    out += as_text(*piece);
  }
  return true;
}

// The one place that sees every string value: text_value scans it as data.
bool Scan::string_value(const std::string& key, bool element) {
  const auto length = count();
  if (!length) return ended();
  if (!fits(*length))
    return refuse(k_bounds, key + ": a string of " + std::to_string(*length) + " bytes");
  const std::uint64_t begin = in_.position();
  if (element && *length < k_long_element) {
    // Tokens and merges: data, unless one begins like a pickle or an archive.
    const auto text = in_.take(static_cast<std::size_t>(*length));
    if (!text) return ended();
    metadata_.element(key, as_text(*text), begin);
    const bool pickle = text->size() > 16 && (*text)[0] == 0x80 && (*text)[1] <= 5;
    if (!pickle && !starts_with(*text, "PK\x03\x04")) return true;
    const std::string copy(as_text(*text));
    scan_text_value(session_, key, copy, begin);
    return true;
  }
  if (*length > k_max_string) {
    session_.gap(Reason::budget, Reach::data, begin, key + " is too long a string");
    SubSource whole(source_, begin, *length);
    session_.embedded(key, whole);
    return in_.skip(*length) || ended();
  }
  std::string text;
  if (!read_text(*length, text)) return false;
  if (!metadata_.text(key, text, begin)) scan_text_value(session_, key, text, begin);
  return true;
}

bool Scan::array_value(const std::string& key) {
  const auto type = number<std::uint32_t>();
  const auto length = count();
  if (!type || !length) return ended();
  if (*type == k_array) return refuse(k_type, key + " is an array of arrays");
  metadata_.array(key, *length);
  if (*type == k_string) {
    if (!fits(*length))
      return refuse(k_bounds, key + " has " + std::to_string(*length) + " strings");
    for (std::uint64_t i = 0; i < *length; ++i) {
      if (i % 65536 == 65535 && !session_.budget().time_left()) {
        session_.gap(Reason::budget, Reach::load, in_.position(), "out of time");
        return false;
      }
      if (!string_value(key, /*element=*/true)) return false;
    }
    return true;
  }
  const std::uint64_t each = size_of(*type);
  if (each == 0) return refuse(k_type, key + " is an array of type " + std::to_string(*type));
  std::uint64_t bytes = 0;
  if (metadata_.wants_numbers(key) && each == 4 && fits(*length)) {
    for (std::uint64_t i = 0; i < *length; ++i) {
      const auto value = number<std::uint32_t>();
      if (!value) return ended();
      metadata_.element(key, *value, in_.position() - 4);
    }
    return true;
  }
  if (__builtin_mul_overflow(*length, each, &bytes) || !fits(bytes) || !in_.skip(bytes))
    return refuse(k_bounds, key + " has " + std::to_string(*length) + " elements");
  return true;
}

bool Scan::key_value() {
  const auto length = count();
  if (!length) return ended();
  if (*length > k_max_key || !fits(*length))
    return refuse(k_bounds, "a key of " + std::to_string(*length) + " bytes");
  std::string key;
  if (!read_text(*length, key)) return false;
  keys_.push_back(hash_of(key));
  const auto type = number<std::uint32_t>();
  if (!type) return ended();
  if (*type == k_string) return string_value(key, /*element=*/false);
  if (*type == k_array) return array_value(key);
  if (key == "general.alignment") {
    const auto value = *type == 4 ? number<std::uint32_t>() : std::nullopt;
    if (!value || !std::has_single_bit(*value) || *value > k_max_alignment)
      return refuse(k_value, "general.alignment is " + (value ? std::to_string(*value) : "no u32"));
    alignment_ = *value;
    return true;
  }
  const std::uint64_t bytes = size_of(*type);
  if (bytes == 0) return refuse(k_type, key + " has the type " + std::to_string(*type));
  const auto value = in_.take(static_cast<std::size_t>(bytes));
  if (!value) return ended();
  if (*type == k_bool && (*value)[0] > 1) return refuse(k_value, key + " is a boolean beyond 1");
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < value->size(); ++i)
    number |= std::uint64_t{(*value)[big_endian_ ? value->size() - 1 - i : i]} << (8 * i);
  if (const std::string wrong = metadata_.number(key, *type, number); !wrong.empty())
    return refuse(k_value, wrong);
  return true;
}

bool Scan::tensor() {
  const auto length = count();
  if (!length) return ended();
  if (*length > k_max_tensor_name || !fits(*length))
    return refuse(k_bounds, "a tensor name of " + std::to_string(*length) + " bytes");
  std::string name;
  if (!read_text(*length, name)) return false;
  names_.push_back(hash_of(name));
  if (const auto odd = odd_tensor_name(name, k_ggml_name))
    session_.find(k_rule_tensor_name, in_.position() - name.size(), name.size(),
                  std::string(*odd) + ": " + name);
  const auto dims = number<std::uint32_t>();
  if (!dims) return ended();
  if (*dims > k_max_dims)
    return refuse(k_bounds, "tensor " + name + " has " + std::to_string(*dims) + " dimensions");
  std::uint64_t elements = 1;
  std::uint64_t row = 1;
  for (std::uint32_t i = 0; i < *dims; ++i) {
    const auto size = count();
    if (!size) return ended();
    if (i == 0) row = *size;
    // ggml counts in int64.
    if (*size > std::uint64_t{INT64_MAX} || __builtin_mul_overflow(elements, *size, &elements) ||
        elements > std::uint64_t{INT64_MAX})
      return refuse(k_bounds, "the dimensions of tensor " + name + " overflow");
  }
  const auto type = number<std::uint32_t>();
  const auto offset = number<std::uint64_t>();
  if (!type || !offset) return ended();
  if (*type >= k_tensor_types.size() || k_tensor_types[*type].elements == 0)
    return refuse(k_type, "tensor " + name + " has the type " + std::to_string(*type));
  const TensorType block = k_tensor_types[*type];
  std::uint64_t bytes = 0;
  if (row % block.elements != 0 ||
      __builtin_mul_overflow(elements / block.elements, std::uint64_t{block.bytes}, &bytes))
    return refuse(k_extent, "the size of tensor " + name + " is impossible for its type");
  if (*offset % alignment_ != 0) return refuse(k_extent, "tensor " + name + " is not aligned");
  std::uint64_t behind = 0;
  if (__builtin_add_overflow(*offset, bytes, &behind) || behind > std::uint64_t{INT64_MAX})
    return refuse(k_extent, "tensor " + name + " ends beyond any file");
  tensors_.push_back({*offset, bytes, element_of(*type)});
  return true;
}

// Alignment between header and data is zeros; anything else is a hiding place.
bool Scan::pad(std::uint64_t begin, std::uint64_t end) {
  const Bytes bytes = source_.view(begin, static_cast<std::size_t>(end - begin));
  if (std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t c) { return c == 0; })) return true;
  session_.find(k_layout, begin, bytes.size(), as_text(bytes));
  return true;
}

bool Scan::data() {
  const std::uint64_t header_end = in_.position();
  if (header_end > std::uint64_t{INT64_MAX} / 2) return refuse(k_bounds, "the header is too long");
  const std::uint64_t mask = alignment_ - 1;
  const std::uint64_t begin = (header_end + mask) & ~mask;
  if (!tensors_.empty()) pad(header_end, begin);

  // ggml demands that each tensor begins where the padded one before it ends.
  std::sort(tensors_.begin(), tensors_.end(), [](const Extent& a, const Extent& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.size < b.size;
  });
  std::uint64_t next = 0;
  std::uint64_t last = 0;
  for (const Extent& extent: tensors_) {
    if (extent.begin < last)
      return refuse(k_layout, "tensors overlap at " + std::to_string(extent.begin));
    if (extent.begin > next)
      return refuse(k_layout,
                    "no tensor owns the bytes at " + std::to_string(next) + " of the data");
    last = extent.begin + extent.size;
    next = (last + mask) & ~mask;
  }
  if (begin > std::uint64_t{INT64_MAX} - next)
    return refuse(k_extent, "the tensors end beyond any file");
  const std::uint64_t needed = tensors_.empty() ? header_end : begin + last;
  const std::uint64_t padded = tensors_.empty() ? begin : begin + next;
  if (size_ && needed > *size_)
    return refuse(k_extent, "the tensors need " + std::to_string(needed - *size_) +
                                " bytes more than there are");
  // The last tensor's padding is written by some and left out by others.
  end_ = size_ && *size_ < padded ? *size_ : padded;
  session_.ends_at(end_);
  const bool whole = sample_weights(source_, session_, begin, tensors_, [&] {
    session_.rest_is_inert(begin);
    // The tail may hold the directory of another format; it waits for the verdict.
    return release_weights(source_, session_, needed);
  });
  if (!whole) {
    session_.gap(Reason::truncated, Reach::load, source_.wait_end(),
                 "the bytes end inside the tensors");
    return false;
  }
  if (!size_) session_.ends_at(std::min(end_, source_.wait_end()));
  return true;
}

Reading Scan::run() {
  size_ = source_.size();
  in_.skip(4);
  const auto version = in_.le<std::uint32_t>();
  if (!version) {
    ended();
    return Reading::broken;
  }
  // A big-endian file shows its small version in the high half.
  big_endian_ = (*version & 0xffff) == 0;
  version_ = big_endian_ ? __builtin_bswap32(*version) : *version;
  if (version_ < 1 || version_ > 3) {
    session_.gap(Reason::unsupported, Reach::load, 4, "GGUF version " + std::to_string(version_));
    return Reading::broken;
  }
  const auto tensors = count();
  const auto keys = count();
  if (!tensors || !keys) {
    ended();
    return Reading::broken;
  }
  // The least that a key-value and a tensor info take.
  if (*tensors > k_max_tensors || *keys > k_max_keys || !fits(*keys * 9) || !fits(*tensors * 20)) {
    refuse(k_bounds, std::to_string(*tensors) + " tensors and " + std::to_string(*keys) + " keys");
    return Reading::broken;
  }
  for (std::uint64_t i = 0; i < *keys; ++i)
    if (!key_value()) return Reading::broken;
  for (std::uint64_t i = 0; i < *tensors; ++i)
    if (!tensor()) return Reading::broken;
  metadata_.judge(*tensors);
  if (has_twins(keys_) || has_twins(names_)) {
    refuse(k_duplicate, "the header names something twice");
    return Reading::broken;
  }
  return data() ? Reading::valid : Reading::broken;
}

Claim probe(const Probe& probe) {
  return starts_with(probe.head, "GGUF") ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_gguf;
const Format format_gguf{"gguf", "gguf", probe, scan, k_rules, k_version};

} // namespace hubgate
