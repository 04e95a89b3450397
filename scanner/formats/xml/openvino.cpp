// OpenVINO IR (openvino/src/core/src/pass/serialize.cpp): the graph as XML, the constants in a .bin
// beside it. The name of that file is not in the XML: it is the XML's own with another suffix.
#include "scanner/core/extents.hpp"
#include "scanner/formats/xml/rules.hpp"

#include <algorithm>
#include <charconv>

namespace hubgate::xml {
namespace {

// Bits of one element by its name; 0 = without a fixed size.
unsigned bits_of(std::string_view type) {
  struct Size {
    std::string_view name;
    unsigned bits;
  };
  constexpr std::array<Size, 24> k_sizes{{
      {"f64", 64},   {"f32", 32},   {"f16", 16}, {"bf16", 16}, {"f8e4m3", 8}, {"f8e5m2", 8},
      {"f8e8m0", 8}, {"f4e2m1", 4}, {"nf4", 4},  {"i64", 64},  {"i32", 32},   {"i16", 16},
      {"i8", 8},     {"i4", 4},     {"u64", 64}, {"u32", 32},  {"u16", 16},   {"u8", 8},
      {"u6", 6},     {"u4", 4},     {"u3", 3},   {"u2", 2},    {"u1", 1},     {"boolean", 8},
  }};
  for (const Size& item: k_sizes)
    if (item.name == type) return item.bits;
  return 0;
}

std::optional<std::uint64_t> number(const std::string* text) {
  if (text == nullptr) return std::nullopt;
  std::uint64_t value = 0;
  const char* const end = text->data() + text->size();
  const auto [at, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

// Elements of "2,3,4"; nothing when a dimension is no number or the product is beyond sense.
std::optional<std::uint64_t> elements(std::string_view shape) {
  std::uint64_t product = 1;
  for (std::size_t at = 0; at < shape.size();) {
    const std::size_t comma = std::min(shape.find(',', at), shape.size());
    std::string_view part = shape.substr(at, comma - at);
    while (!part.empty() && part.front() == ' ')
      part.remove_prefix(1);
    const std::string text(part);
    const auto dimension = number(&text);
    if (!dimension) return std::nullopt;
    if (*dimension != 0 && product > (std::uint64_t{1} << 56) / *dimension) return std::nullopt;
    product *= *dimension;
    at = comma + 1;
  }
  return product;
}

bool is_known_version(std::string_view version) {
  if (version == "type_relaxed_opset" || version == "ie_internal_opset" || version == "util")
    return true;
  if (!version.starts_with("opset")) return false;
  const std::string text(version.substr(5));
  const auto value = number(&text);
  return value && *value >= 1 && *value <= 32;
}

bool names_library(std::string_view value) {
  return value.ends_with(".so") || value.ends_with(".dll") || value.ends_with(".dylib") ||
         value.find(".so.") != std::string_view::npos;
}

class OpenVino final : public Vocabulary {
public:
  void on(Event event, const MarkupReader& reader, Held& held) override {
    if (event == Event::start) start(reader, held);
  }
  void finish(Held& held) override {
    if (bytes_ == 0) return;
    held.refer("extent", 0, "{stem}.bin " + std::to_string(bytes_));
    if (const auto whole = described_.whole())
      held.refer("described", 0, "{stem}.bin " + std::to_string(*whole));
  }

private:
  void start(const MarkupReader& reader, Held& held);
  void layer(const MarkupReader& reader, Held& held);
  void constant(const MarkupReader& reader, Held& held);

  bool in_constant_ = false;
  std::string layer_;
  std::uint64_t bytes_ = 0; ///< that the .bin must have
  Extents described_;
};

void OpenVino::layer(const MarkupReader& reader, Held& held) {
  const std::string* type = reader.attribute("type");
  const std::string* version = reader.attribute("version");
  const std::string* name = reader.attribute("name");
  layer_ = name == nullptr ? "a layer" : "layer " + *name;
  in_constant_ = type != nullptr && *type == "Const";
  if (type == nullptr || version == nullptr) return;
  if (is_known_version(*version) && is_openvino_operation(*type)) return;
  const bool tokenizer = is_openvino_tokenizer_operation(*type);
  held.find(k_openvino_operation, reader.offset(),
            layer_ + " is " + *type + " of \"" + *version + "\"" +
                (tokenizer ? ", of openvino-tokenizers" : ""),
            tokenizer ? std::optional(Severity::informational) : std::nullopt);
}

void OpenVino::constant(const MarkupReader& reader, Held& held) {
  const auto offset = number(reader.attribute("offset"));
  const auto size = number(reader.attribute("size"));
  const std::string* type = reader.attribute("element_type");
  const std::string* shape = reader.attribute("shape");
  if (!offset || !size || *size > ~std::uint64_t{0} - *offset ||
      *offset + *size > (std::uint64_t{1} << 62)) {
    const std::string* at = reader.attribute("offset");
    const std::string* length = reader.attribute("size");
    held.find(k_openvino_extent, reader.offset(),
              layer_ + " has its bytes at \"" + (at == nullptr ? "" : *at) + "\", \"" +
                  (length == nullptr ? "" : *length) + "\" of them");
    return;
  }
  bytes_ = std::max(bytes_, *offset + *size);
  described_.add(*offset, *size);
  const unsigned bits = type == nullptr ? 0 : bits_of(*type);
  if (bits == 0 || shape == nullptr) return;
  const auto count = elements(*shape);
  // Three- and six-bit types are packed in groups.
  const bool fits = count && (bits == 3 || bits == 6 ? *size >= *count * bits / 8
                                                     : *size == (*count * bits + 7) / 8);
  if (!fits)
    held.find(k_openvino_extent, reader.offset(),
              layer_ + " is " + *type + "[" + *shape + "] in " + std::to_string(*size) + " bytes");
}

void OpenVino::start(const MarkupReader& reader, Held& held) {
  const std::string_view name = reader.local_name();
  if (name == "layer") layer(reader, held);
  if (name == "data" && in_constant_) {
    constant(reader, held);
    in_constant_ = false;
  }
  if (name == "CustomLayer")
    held.find(k_openvino_operation, reader.offset(), "a kernel of its own for the GPU");
  if (name == "Source")
    if (const std::string* file = reader.attribute("filename")) {
      held.find(k_openvino_operation, reader.offset(), "GPU code from \"" + *file + "\"");
      held.refer("code", reader.offset(), *file);
    }
  for (const Attribute& item: reader.attributes())
    if (item.name != "name" && names_library(item.value))
      held.find(k_openvino_operation, reader.offset(),
                "<" + reader.name() + " " + item.name + "=\"" + item.value + "\">");
}

} // namespace

std::unique_ptr<Vocabulary> make_openvino() {
  return std::make_unique<OpenVino>();
}

} // namespace hubgate::xml
