// safetensors: u64 header length, a JSON header, then the tensors' bytes. Only the header can hurt
// (https://github.com/huggingface/safetensors, "Format"); see README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/release.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/tensor_name.hpp"
#include "scanner/generic/tensor_sample.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

constexpr std::uint64_t k_prefix = 8;
constexpr std::uint64_t k_max_header = 100'000'000; ///< MAX_HEADER_SIZE of the reference
constexpr std::size_t k_max_tensors = 1'000'000;    ///< no shard has a tenth of it
constexpr std::size_t k_many_empty = 1'000;         ///< zero-size tensors in one honest file: a few
constexpr std::uint64_t k_max_rank = 64;
constexpr std::size_t k_max_name = 4096;
constexpr std::size_t k_max_licence = 100; ///< longer ones are texts, not names

constexpr std::string_view k_atlas_evasion = "AML.T0076";
constexpr std::string_view k_atlas_embed = "AML.T0018.002";
constexpr std::string_view k_atlas_dos = "AML.T0029";

constexpr std::array<Rule, 12> k_rules{{
    {"safetensors-header-length", "structure", Severity::suspicious, Reach::load, "CWE-130",
     k_atlas_dos, "SAF-001", "the header claims more bytes than the file has or a reader allows"},
    {"safetensors-header-json", "structure", Severity::suspicious, Reach::load, "CWE-20",
     k_atlas_evasion, "SAF-001 SAF-007", "the header is not the JSON that the format prescribes"},
    {"safetensors-duplicate-key", "structure", Severity::suspicious, Reach::load, "CWE-436",
     k_atlas_evasion, "SAF-002",
     "a key stands twice in the header, so two readers load two models"},
    {"safetensors-header-padding", "structure", Severity::suspicious, Reach::data, "CWE-436",
     k_atlas_evasion, "SAF-007", "bytes other than blanks follow the JSON inside the header"},
    {"safetensors-layout", "structure", Severity::suspicious, Reach::load, "CWE-119", k_atlas_embed,
     "SAF-003 SAF-004", "tensors overlap, or bytes belong to no tensor"},
    {"safetensors-trailing-bytes", "structure", Severity::suspicious, Reach::data, "CWE-436",
     k_atlas_embed, "SAF-003", "bytes follow the last tensor, which the reference refuses"},
    {"safetensors-tensor-size", "structure", Severity::suspicious, Reach::load, "CWE-125",
     k_atlas_dos, "SAF-005", "a tensor's shape and type need another size than its range has"},
    {"safetensors-empty-tensors", "structure", Severity::suspicious, Reach::load, "CWE-400",
     k_atlas_dos, "SAF-004", "a flood of tensors without bytes"},
    {"safetensors-metadata", "structure", Severity::suspicious, Reach::data, "CWE-20",
     k_atlas_embed, "SAF-006", "__metadata__ holds something other than strings"},
    k_rule_tensor_name,
    k_rule_steganography,
    k_rule_not_finite,
}};

const Rule& k_header_length = k_rules[0];
const Rule& k_header_json = k_rules[1];
const Rule& k_duplicate_key = k_rules[2];
const Rule& k_header_padding = k_rules[3];
const Rule& k_layout = k_rules[4];
const Rule& k_trailing_bytes = k_rules[5];
const Rule& k_tensor_size = k_rules[6];
const Rule& k_empty_tensors = k_rules[7];
const Rule& k_metadata = k_rules[8];

constexpr std::size_t k_longest_tensor_name = 1024;

struct Dtype {
  std::string_view name;
  unsigned bits;
};

// enum Dtype of the reference, tensor.rs.
constexpr std::array<Dtype, 22> k_dtypes{{
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
}};

/// 1: weights that stream by are sampled like those that are here.
constexpr std::string_view k_version = "safetensors 1";

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
  Element element = Element::other;
};

std::uint64_t header_length(Bytes head) {
  return Reader(head).le<std::uint64_t>().value_or(0);
}

bool is_blank(std::uint8_t c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

Element element_of(std::string_view dtype) {
  return dtype == "F32"    ? Element::float32
         : dtype == "F16"  ? Element::float16
         : dtype == "BF16" ? Element::bfloat16
         : dtype == "F64"  ? Element::float64
                           : Element::other;
}

// A header that a reader would try: "{" and then a key, or nothing.
bool looks_like_header(Bytes head) {
  if (head.size() <= k_prefix || head[k_prefix] != '{') return false;
  for (std::size_t i = k_prefix + 1; i < head.size(); ++i) {
    if (is_blank(head[i])) continue;
    return head[i] == '"' || head[i] == '}';
  }
  return false;
}

bool speaks_of_tensors(Bytes head) {
  const std::string_view text = as_text(head);
  return text.find("\"data_offsets\"") != std::string_view::npos ||
         text.find("\"__metadata__\"") != std::string_view::npos ||
         text.find("\"dtype\"") != std::string_view::npos;
}

Claim probe(const Probe& probe) {
  if (probe.head.size() <= k_prefix) return Claim::no;
  const std::uint64_t length = header_length(probe.head);
  const bool possible =
      length >= 2 && length <= k_max_header &&
      (!probe.size_known || (probe.size >= k_prefix && length <= probe.size - k_prefix));
  // Eight letters and a brace are a text, not a length.
  const bool text =
      std::all_of(probe.head.begin(), probe.head.begin() + k_prefix,
                  [](std::uint8_t c) { return is_blank(c) || (c >= 0x20 && c < 0x7f); });
  if (text) return Claim::no;
  if (looks_like_header(probe.head)) {
    if (possible) return Claim::yes;
    return speaks_of_tensors(probe.head) ? Claim::yes : Claim::no;
  }
  return possible && speaks_of_tensors(probe.head) ? Claim::maybe : Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  Reading refuse(const Rule& rule, std::uint64_t offset, std::string_view evidence);
  bool tensors(JsonReader& json);
  bool metadata(JsonReader& json);
  bool tensor(JsonReader& json, const std::string& name);
  bool shape(JsonReader& json, std::uint64_t& elements);
  bool range(JsonReader& json, Range& out);
  bool json_error(const JsonReader& json);
  bool padding(std::uint64_t begin, std::uint64_t end);
  bool layout();
  void deny(const Rule& rule, std::uint64_t offset, std::string_view evidence);

  Source& source_;
  Session& session_;
  std::vector<Range> ranges_;
  std::uint64_t data_ = 0; ///< bytes of the data section
  std::size_t empty_ = 0;
  bool denied_ = false;
  bool told_size_ = false;
};

// One finding, and the file is not one that a conforming reader opens.
void Scan::deny(const Rule& rule, std::uint64_t offset, std::string_view evidence) {
  session_.find(rule, offset, 0, evidence);
  denied_ = true;
}

Reading Scan::refuse(const Rule& rule, std::uint64_t offset, std::string_view evidence) {
  session_.find(rule, offset, 0, evidence);
  session_.gap(Reason::malformed, Reach::load, offset, "the safetensors header can't be trusted");
  return Reading::broken;
}

bool Scan::json_error(const JsonReader& json) {
  const auto reason = json.failure() == JsonFailure::limit ? Reason::budget : Reason::malformed;
  session_.find(k_header_json, json.position(), 0, json.error());
  session_.gap(reason, Reach::load, json.position(), json.error());
  return false;
}

bool Scan::shape(JsonReader& json, std::uint64_t& elements) {
  elements = 1;
  if (json.next() != JsonEvent::array_begin) return false;
  for (std::uint64_t rank = 0;; ++rank) {
    const JsonEvent event = json.next();
    if (event == JsonEvent::array_end) return true;
    const auto size = event == JsonEvent::number ? json.as_u64() : std::nullopt;
    if (!size || rank >= k_max_rank) return false;
    if (__builtin_mul_overflow(elements, *size, &elements)) return false;
  }
}

bool Scan::range(JsonReader& json, Range& out) {
  if (json.next() != JsonEvent::array_begin) return false;
  for (std::uint64_t* end: {&out.begin, &out.end}) {
    const auto value = json.next() == JsonEvent::number ? json.as_u64() : std::nullopt;
    if (!value) return false;
    *end = *value;
  }
  return json.next() == JsonEvent::array_end && out.begin <= out.end;
}

bool Scan::tensor(JsonReader& json, const std::string& name) {
  const std::uint64_t offset = json.offset();
  if (json.next() != JsonEvent::object_begin) {
    if (json.failure() != JsonFailure::none) return json_error(json);
    deny(k_header_json, json.offset(), "tensor " + name + " is not an object");
    return false;
  }
  const Dtype* dtype = nullptr;
  std::uint64_t elements = 0;
  Range bytes{0, 0, Element::other};
  bool shaped = false;
  bool placed = false;
  std::string_view wrong;
  for (;;) {
    const JsonEvent event = json.next();
    if (event == JsonEvent::object_end) break;
    if (event != JsonEvent::key) return json_error(json);
    const std::string field = json.text().substr(0, k_max_name);
    if (field == "dtype") {
      if (json.next() != JsonEvent::string) wrong = "dtype is not a string";
      const auto at = std::find_if(k_dtypes.begin(), k_dtypes.end(),
                                   [&](const Dtype& type) { return type.name == json.text(); });
      dtype = at == k_dtypes.end() ? nullptr : &*at;
      if (dtype == nullptr && wrong.empty()) wrong = "an unknown dtype";
    } else if (field == "shape") {
      shaped = shape(json, elements);
      if (!shaped) wrong = "shape is not a list of sizes, or overflows";
    } else if (field == "data_offsets") {
      placed = range(json, bytes);
      if (!placed) wrong = "data_offsets is not an ascending pair";
    } else {
      // The reference ignores it, so it changes nothing; but nobody writes it either.
      session_.find(k_header_json, json.offset(), 0, "tensor " + name + " has a field " + field);
      if (!json.skip_value()) return json_error(json);
    }
    if (json.failure() != JsonFailure::none) return json_error(json);
    if (!wrong.empty()) break;
  }
  if (wrong.empty() && (dtype == nullptr || !shaped || !placed)) wrong = "a field is missing";
  if (!wrong.empty()) {
    deny(k_header_json, offset, "tensor " + name + ": " + std::string(wrong));
    return false;
  }
  std::uint64_t bits = 0;
  if (__builtin_mul_overflow(elements, std::uint64_t{dtype->bits}, &bits) || bits % 8 != 0 ||
      bits / 8 != bytes.end - bytes.begin) {
    if (!told_size_)
      deny(k_tensor_size, offset,
           "tensor " + name + ": " + std::to_string(elements) + " x " + std::string(dtype->name) +
               " in a range of " + std::to_string(bytes.end - bytes.begin) + " bytes");
    told_size_ = denied_ = true;
  }
  if (bytes.begin == bytes.end) ++empty_;
  bytes.element = element_of(dtype->name);
  ranges_.push_back(bytes);
  if (const auto odd = odd_tensor_name(name, k_longest_tensor_name))
    session_.find(k_rule_tensor_name, offset, 0, std::string(*odd) + ": " + name);
  return true;
}

bool Scan::metadata(JsonReader& json) {
  if (json.next() != JsonEvent::object_begin) {
    if (json.failure() != JsonFailure::none) return json_error(json);
    deny(k_metadata, json.offset(), "__metadata__ is not an object");
    return false;
  }
  for (;;) {
    const JsonEvent event = json.next();
    if (event == JsonEvent::object_end) return true;
    if (event != JsonEvent::key) return json_error(json);
    const std::string key = json.text().substr(0, k_max_name);
    if (json.text().size() > k_max_name)
      scan_text_value(session_, "__metadata__ key", json.text(), json.offset());
    const JsonEvent value = json.next();
    if (value == JsonEvent::error) return json_error(json);
    if (value == JsonEvent::string) {
      scan_text_value(session_, "__metadata__." + key, json.text(), json.offset());
      if ((key == "license" || key == "licence" || key == "modelspec.license") &&
          json.text().size() <= k_max_licence)
        session_.refer("licence", json.offset(), json.text());
      continue;
    }
    deny(k_metadata, json.offset(), "__metadata__." + key + " is not a string");
    // Its inside is JSON like any other; read on behind it.
    if (value == JsonEvent::object_begin || value == JsonEvent::array_begin) {
      const std::size_t depth = json.depth();
      while (json.depth() >= depth) {
        const JsonEvent inner = json.next();
        if (inner == JsonEvent::error) return json_error(json);
        if (inner == JsonEvent::string)
          scan_text_value(session_, "__metadata__." + key, json.text(), json.offset());
      }
    }
  }
}

bool Scan::tensors(JsonReader& json) {
  if (json.next() != JsonEvent::object_begin) return json_error(json);
  for (std::size_t steps = 0;; ++steps) {
    const JsonEvent event = json.next();
    if (event == JsonEvent::object_end) break;
    if (event != JsonEvent::key) return json_error(json);
    if (ranges_.size() >= k_max_tensors || (steps % 4096 == 0 && !session_.budget().time_left())) {
      session_.find(k_empty_tensors, json.offset(), 0, "more tensors than any model has");
      session_.gap(Reason::budget, Reach::load, json.offset(), "too many tensors");
      return false;
    }
    const std::string name = json.text().substr(0, 200);
    if (json.text() == "__metadata__") {
      if (!metadata(json)) return false;
    } else {
      if (json.text().size() > k_max_name)
        scan_text_value(session_, "tensor name", json.text(), json.offset());
      if (!tensor(json, name)) return false;
    }
  }
  if (json.duplicates() > 0)
    deny(k_duplicate_key, json.first_duplicate(),
         std::to_string(json.duplicates()) + " duplicate keys in the header");
  return true;
}

// Ranges in the order of their begin tile [0, data_) exactly: the reference's own check, and with
// it an empty tensor can only stand on a border.
bool Scan::layout() {
  const auto before = [](const Range& a, const Range& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  };
  if (!std::is_sorted(ranges_.begin(), ranges_.end(), before))
    std::sort(ranges_.begin(), ranges_.end(), before);
  for (const Range& range: ranges_) {
    if (range.begin != data_) {
      deny(k_layout, k_prefix,
           (range.begin < data_ ? "tensors overlap at " : "no tensor owns the bytes at ") +
               std::to_string(std::min(range.begin, data_)) + " of the data");
      return false;
    }
    data_ = range.end;
  }
  if (empty_ > k_many_empty)
    deny(k_empty_tensors, k_prefix, std::to_string(empty_) + " tensors have no bytes");
  return true;
}

bool Scan::padding(std::uint64_t begin, std::uint64_t end) {
  constexpr std::size_t k_step = std::size_t{64} << 10;
  for (std::uint64_t at = begin; at < end;) {
    const Bytes piece =
        source_.view(at, static_cast<std::size_t>(std::min<std::uint64_t>(k_step, end - at)));
    if (piece.empty()) return true;
    for (std::size_t i = 0; i < piece.size(); ++i) {
      if (piece[i] == ' ') continue;
      deny(k_header_padding, at + i, as_text(piece.subspan(i)));
      // What hides there is looked at like a file of its own.
      SubSource rest(source_, at + i, end - at - i);
      session_.embedded("header padding", rest);
      return false;
    }
    at += piece.size();
  }
  return true;
}

Reading Scan::run() {
  const Bytes head = source_.view(0, Probe::k_head);
  if (head.size() <= k_prefix) return Reading::none;
  const std::uint64_t length = header_length(head);
  const auto size = source_.size();
  if (length > k_max_header || (size && length > *size - std::min(*size, k_prefix)))
    return refuse(k_header_length, 0,
                  "a header of " + std::to_string(length) + " bytes" +
                      (size ? " in a file of " + std::to_string(*size) : std::string()));
  if (head[k_prefix] != '{')
    return refuse(k_header_json, k_prefix, "the header does not begin with '{'");

  const std::uint64_t data_begin = k_prefix + length;
  JsonReader json(source_, k_prefix, data_begin, {.depth = 16});
  if (!tensors(json)) {
    if (denied_)
      session_.gap(Reason::malformed, Reach::load, k_prefix, "the header can't be trusted");
    return Reading::broken;
  }
  padding(json.position(), data_begin);
  if (!layout() || denied_) {
    session_.gap(Reason::malformed, Reach::load, k_prefix, "the header can't be trusted");
    return Reading::broken;
  }

  const std::uint64_t end = data_begin + data_;
  if (end < data_begin)
    return refuse(k_tensor_size, k_prefix, "the tensors need more bytes than can be counted");
  if (size && end > *size) {
    session_.gap(Reason::truncated, Reach::data, *size,
                 "the tensors need " + std::to_string(end - *size) + " bytes more");
    return Reading::broken;
  }
  session_.ends_at(end);
  std::vector<SampledTensor> samples;
  for (std::size_t i = 0; i < ranges_.size() && i < k_sampled_tensors; ++i)
    samples.push_back({ranges_[i].begin, ranges_[i].end - ranges_[i].begin, ranges_[i].element});
  const bool whole = sample_weights(source_, session_, data_begin, samples, [&] {
    session_.rest_is_inert(data_begin);
    // The tail may hold the directory of another format; it waits for the verdict.
    return release_weights(source_, session_, end);
  });
  const std::uint64_t true_size = size ? *size : source_.wait_end();
  if (!whole) {
    session_.gap(Reason::truncated, Reach::data, true_size,
                 "the tensors need " + std::to_string(end - true_size) + " bytes more");
    return Reading::broken;
  }
  if (end < true_size)
    session_.find(k_trailing_bytes, end, true_size - end,
                  std::to_string(true_size - end) + " bytes follow the last tensor");
  return Reading::valid;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_safetensors;
const Format format_safetensors{"safetensors", "safetensors", probe, scan, k_rules, k_version};

} // namespace hubgate
