#include "scanner/formats/hdf5/messages.hpp"

#include <algorithm>

namespace hubgate::hdf5 {
namespace {

constexpr int k_max_type_depth = 16;
constexpr std::size_t k_max_rank = 33;

std::uint64_t padded(std::uint64_t n) {
  return (n + 7) & ~std::uint64_t{7};
}

// A name up to its zero; `pad`: the reader then stands at a multiple of eight from where it began.
std::optional<std::string> terminated(Reader& reader, bool pad) {
  const std::uint64_t begin = reader.position();
  const auto rest = reader.at(begin, reader.remaining());
  const std::string_view text = as_text(*rest);
  const std::size_t end = text.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  std::string out(text.substr(0, end));
  if (!reader.skip(pad ? padded(end + 1) : end + 1)) return std::nullopt;
  return out;
}

bool read_compound(Reader& reader, Datatype& out, std::uint8_t version, std::uint32_t bits,
                   int depth) {
  const std::uint32_t members = bits & 0xffff;
  std::size_t width = 4;
  if (version >= 3) {
    width = 1;
    for (std::uint64_t limit = 256; limit <= out.size && width < 4; limit <<= 8)
      ++width;
  }
  for (std::uint32_t i = 0; i < members; ++i) {
    if (!terminated(reader, version < 3) || !File::number(reader, width)) return false;
    if (version == 1) {
      const auto rank = reader.le<std::uint8_t>();
      if (!rank || !reader.skip(3 + 4 + 4 + 16)) return false;
    }
    const auto member = read_datatype(reader, depth + 1);
    if (!member) return false;
    out.has_text |= member->has_text;
    out.has_opaque |= member->has_opaque;
    out.has_variable |= member->has_variable;
  }
  return true;
}

bool read_enum(Reader& reader, std::uint8_t version, std::uint32_t bits, int depth) {
  const auto base = read_datatype(reader, depth + 1);
  if (!base) return false;
  const std::uint32_t members = bits & 0xffff;
  for (std::uint32_t i = 0; i < members; ++i)
    if (!terminated(reader, version < 3)) return false;
  return reader.skip(std::uint64_t{members} * base->size);
}

bool read_array(Reader& reader, Datatype& out, std::uint8_t version, int depth) {
  const auto rank = reader.le<std::uint8_t>();
  if (!rank || *rank > k_max_rank) return false;
  if (version < 3 && !reader.skip(3)) return false;
  if (!reader.skip(4 * std::uint64_t{*rank})) return false;
  if (version < 3 && !reader.skip(4 * std::uint64_t{*rank})) return false;
  const auto base = read_datatype(reader, depth + 1);
  if (!base) return false;
  out.bytes = base->bytes;
  out.has_text = base->has_text;
  out.has_opaque = base->has_opaque;
  out.has_variable = base->has_variable;
  return true;
}

} // namespace

std::optional<std::uint64_t> Dataspace::elements() const {
  if (null) return 0;
  std::uint64_t product = 1;
  for (const std::uint64_t dimension: dimensions)
    if (__builtin_mul_overflow(product, dimension, &product)) return std::nullopt;
  return product;
}

std::optional<Dataspace> read_dataspace(const File& file, Bytes body) {
  Reader reader(body);
  const auto version = reader.le<std::uint8_t>();
  const auto rank = reader.le<std::uint8_t>();
  if (!reader.skip(1) || !version || !rank || *rank > k_max_rank) return std::nullopt;
  Dataspace out;
  if (*version == 1) {
    if (!reader.skip(5)) return std::nullopt;
  } else if (*version == 2) {
    out.null = reader.le<std::uint8_t>() == std::uint8_t{2};
  } else {
    return std::nullopt;
  }
  for (std::uint8_t i = 0; i < *rank; ++i) {
    const auto size = file.length(reader);
    if (!size) return std::nullopt;
    out.dimensions.push_back(*size);
  }
  return out;
}

std::optional<Datatype> read_datatype(Reader& reader, int depth) {
  if (depth > k_max_type_depth) return std::nullopt;
  const auto first = reader.le<std::uint32_t>();
  const auto size = reader.le<std::uint32_t>();
  if (!first || !size) return std::nullopt;
  const auto version = static_cast<std::uint8_t>(*first >> 4 & 15);
  const std::uint32_t bits = *first >> 8;
  Datatype out;
  out.size = *size;
  if ((*first & 15) >= static_cast<std::uint32_t>(TypeClass::unknown)) return std::nullopt;
  out.klass = static_cast<TypeClass>(*first & 15);
  bool good = true;
  switch (out.klass) {
  case TypeClass::integer:
    out.bytes = *size == 1;
    good = reader.skip(4);
    break;
  case TypeClass::bits:
    out.bytes = true;
    good = reader.skip(4);
    break;
  case TypeClass::floating:
    good = reader.skip(12);
    break;
  case TypeClass::time:
    good = reader.skip(2);
    break;
  case TypeClass::text:
    out.has_text = true;
    break;
  case TypeClass::opaque: {
    out.has_opaque = true;
    const auto tag = reader.take(bits & 0xff);
    good = tag.has_value();
    if (tag) out.tag = std::string(as_text(*tag));
    break;
  }
  case TypeClass::compound:
    good = read_compound(reader, out, version, bits, depth);
    break;
  case TypeClass::reference:
    break;
  case TypeClass::enumeration:
    good = read_enum(reader, version, bits, depth);
    break;
  case TypeClass::variable: {
    out.text = (bits & 15) == 1;
    out.has_variable = true;
    good = read_datatype(reader, depth + 1).has_value();
    break;
  }
  case TypeClass::array:
    good = read_array(reader, out, version, depth);
    break;
  case TypeClass::complex:
    good = read_datatype(reader, depth + 1).has_value();
    break;
  case TypeClass::unknown:
    good = false;
    break;
  }
  if (!good) return std::nullopt;
  return out;
}

namespace {

bool read_chunked_4(const File& file, Reader& reader, Layout& out) {
  const auto flags = reader.le<std::uint8_t>();
  const auto rank = reader.le<std::uint8_t>();
  const auto width = reader.le<std::uint8_t>();
  if (!flags || !rank || !width || *rank == 0 || *rank > k_max_rank || *width > 8) return false;
  for (std::uint8_t i = 0; i < *rank; ++i) {
    const auto size = File::number(reader, *width);
    if (!size) return false;
    out.chunk.push_back(*size);
  }
  out.element = static_cast<std::uint32_t>(out.chunk.back());
  out.chunk.pop_back();
  const auto index = reader.le<std::uint8_t>();
  bool good = true;
  switch (index.value_or(0)) {
  case 1:
    out.index = Layout::Index::single;
    if ((*flags & 2) != 0) {
      out.single_size = file.length(reader).value_or(0);
      good = reader.skip(4);
    }
    break;
  case 2:
    out.index = Layout::Index::implicit;
    break;
  case 3:
    out.index = Layout::Index::fixed;
    good = reader.skip(1);
    break;
  case 4:
    out.index = Layout::Index::extensible;
    good = reader.skip(5);
    break;
  case 5:
    out.index = Layout::Index::btree2;
    good = reader.skip(6);
    break;
  default:
    return false;
  }
  const auto address = file.offset(reader);
  if (!good || !address) return false;
  out.address = *address;
  return true;
}

bool read_chunked_3(const File& file, Reader& reader, Layout& out) {
  const auto rank = reader.le<std::uint8_t>();
  const auto address = file.offset(reader);
  if (!rank || !address || *rank == 0 || *rank > k_max_rank) return false;
  out.address = *address;
  out.index = Layout::Index::btree1;
  for (std::uint8_t i = 0; i < *rank; ++i) {
    const auto size = reader.le<std::uint32_t>();
    if (!size) return false;
    out.chunk.push_back(*size);
  }
  out.element = static_cast<std::uint32_t>(out.chunk.back());
  out.chunk.pop_back();
  return true;
}

bool read_layout_old(const File& file, Reader& reader, Layout& out) {
  const auto rank = reader.le<std::uint8_t>();
  const auto kind = reader.le<std::uint8_t>();
  if (!rank || !kind || *rank > k_max_rank || *kind > 2 || !reader.skip(5)) return false;
  out.kind = static_cast<Layout::Kind>(*kind);
  if (out.kind != Layout::Kind::compact) {
    const auto address = file.offset(reader);
    if (!address) return false;
    out.address = *address;
  }
  for (std::uint8_t i = 0; i < *rank; ++i) {
    const auto size = reader.le<std::uint32_t>();
    if (!size) return false;
    out.chunk.push_back(*size);
  }
  if (out.kind == Layout::Kind::chunked) {
    if (out.chunk.empty()) return false;
    out.index = Layout::Index::btree1;
    out.element = static_cast<std::uint32_t>(out.chunk.back());
    out.chunk.pop_back();
  }
  if (out.kind == Layout::Kind::compact) {
    const auto size = reader.le<std::uint32_t>();
    const auto data = size ? reader.take(*size) : std::nullopt;
    if (!data) return false;
    out.compact.assign(data->begin(), data->end());
  }
  return true;
}

} // namespace

std::optional<Layout> read_layout(const File& file, Bytes body) {
  Reader reader(body);
  Layout out;
  const auto version = reader.le<std::uint8_t>();
  if (version == std::uint8_t{1} || version == std::uint8_t{2}) {
    if (!read_layout_old(file, reader, out)) return std::nullopt;
    return out;
  }
  const auto kind = reader.le<std::uint8_t>();
  if (!version || *version < 3 || *version > 5 || !kind || *kind > 3) return std::nullopt;
  out.kind = static_cast<Layout::Kind>(*kind);
  bool good = true;
  switch (out.kind) {
  case Layout::Kind::compact: {
    const auto size = reader.le<std::uint16_t>();
    const auto data = size ? reader.take(*size) : std::nullopt;
    good = data.has_value();
    if (data) out.compact.assign(data->begin(), data->end());
    break;
  }
  case Layout::Kind::contiguous: {
    const auto address = file.offset(reader);
    const auto size = file.length(reader);
    good = address && size;
    out.address = address.value_or(k_undefined);
    out.size = size.value_or(0);
    break;
  }
  case Layout::Kind::chunked:
    good = *version == 3 ? read_chunked_3(file, reader, out) : read_chunked_4(file, reader, out);
    break;
  case Layout::Kind::virtual_: {
    const auto address = file.offset(reader);
    const auto index = reader.le<std::uint32_t>();
    good = *version >= 4 && address && index;
    out.address = address.value_or(k_undefined);
    out.heap_index = index.value_or(0);
    break;
  }
  case Layout::Kind::unknown:
    good = false;
    break;
  }
  if (!good) return std::nullopt;
  return out;
}

std::optional<std::vector<Filter>> read_filters(Bytes body) {
  Reader reader(body);
  const auto version = reader.le<std::uint8_t>();
  const auto count = reader.le<std::uint8_t>();
  if (!version || !count || (*version != 1 && *version != 2)) return std::nullopt;
  if (*version == 1 && !reader.skip(6)) return std::nullopt;
  std::vector<Filter> out;
  for (std::uint8_t i = 0; i < *count; ++i) {
    Filter filter;
    const auto id = reader.le<std::uint16_t>();
    if (!id) return std::nullopt;
    filter.id = *id;
    std::uint16_t name = 0;
    if (*version == 1 || *id >= 256) {
      const auto size = reader.le<std::uint16_t>();
      if (!size) return std::nullopt;
      name = *size;
    }
    if (!reader.skip(2)) return std::nullopt; // flags
    const auto values = reader.le<std::uint16_t>();
    const auto text = reader.take(*version == 1 ? padded(name) : name);
    if (!values || !text || !reader.can_hold(*values, 4)) return std::nullopt;
    filter.name = std::string(as_text(*text).substr(0, as_text(*text).find('\0')));
    for (std::uint16_t v = 0; v < *values; ++v)
      filter.values.push_back(reader.le<std::uint32_t>().value_or(0));
    if (*version == 1 && *values % 2 == 1) reader.skip(4);
    out.push_back(std::move(filter));
  }
  return out;
}

std::optional<Link> read_link(const File& file, Bytes body) {
  Reader reader(body);
  const auto version = reader.le<std::uint8_t>();
  const auto flags = reader.le<std::uint8_t>();
  if (version != std::uint8_t{1} || !flags) return std::nullopt;
  std::uint8_t type = 0;
  if ((*flags & 8) != 0) type = reader.le<std::uint8_t>().value_or(0);
  if ((*flags & 4) != 0) reader.skip(8);
  if ((*flags & 16) != 0) reader.skip(1);
  const auto size = File::number(reader, std::size_t{1} << (*flags & 3));
  const auto name = size ? reader.take(*size) : std::nullopt;
  if (!name) return std::nullopt;
  Link out;
  out.name = std::string(as_text(*name));
  if (type == 0) {
    const auto address = file.offset(reader);
    if (!address) return std::nullopt;
    out.address = *address;
    return out;
  }
  const auto length = reader.le<std::uint16_t>();
  const auto value = length ? reader.take(*length) : std::nullopt;
  if (!value) return std::nullopt;
  const std::string_view text = as_text(*value);
  if (type == 1) {
    out.kind = Link::Kind::soft;
    out.target = std::string(text);
  } else if (type == 64 && !text.empty()) {
    out.kind = Link::Kind::external;
    const std::string_view rest = text.substr(1); // version and flags
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    out.file = std::string(rest.substr(0, end));
    const std::string_view path = rest.substr(std::min(end + 1, rest.size()));
    out.target = std::string(path.substr(0, path.find('\0')));
  } else {
    out.kind = Link::Kind::user;
    out.target = "type " + std::to_string(type);
  }
  return out;
}

std::optional<std::uint64_t> read_shared(const File& file, Bytes body) {
  Reader reader(body);
  const auto version = reader.le<std::uint8_t>();
  const auto type = reader.le<std::uint8_t>();
  if (!version || !type) return std::nullopt;
  if (*version == 1) {
    reader.skip(6);
  } else if (*version == 3 && *type == 1) {
    return std::nullopt; // in the shared message heap
  } else if (*version > 3) {
    return std::nullopt;
  }
  return file.offset(reader);
}

std::optional<Attribute> read_attribute(const File& file, Bytes body) {
  Reader reader(body);
  const auto version = reader.le<std::uint8_t>();
  const auto flags = reader.le<std::uint8_t>();
  const auto name_size = reader.le<std::uint16_t>();
  const auto type_size = reader.le<std::uint16_t>();
  const auto space_size = reader.le<std::uint16_t>();
  if (!version || !flags || !name_size || !type_size || !space_size) return std::nullopt;
  if (*version < 1 || *version > 3) return std::nullopt;
  if (*version == 3) reader.skip(1);
  const auto part = [&](std::uint16_t size) {
    return reader.take(*version == 1 ? padded(size) : std::uint64_t{size});
  };
  const auto name = part(*name_size);
  const auto type = part(*type_size);
  const auto space = part(*space_size);
  if (!name || !type || !space) return std::nullopt;
  Attribute out;
  out.name = std::string(as_text(*name).substr(0, as_text(*name).find('\0')));
  if (*version >= 2 && (*flags & 1) != 0) {
    const auto shared = read_shared(file, *type);
    if (!shared) return std::nullopt;
    out.shared_type = *shared;
  } else {
    Reader inner(*type);
    const auto read = read_datatype(inner);
    if (!read) return std::nullopt;
    out.type = *read;
  }
  const auto read = read_dataspace(file, *space);
  if (!read || (*version >= 2 && (*flags & 2) != 0)) return std::nullopt;
  out.space = *read;
  const auto rest = reader.take(reader.remaining());
  out.value.assign(rest->begin(), rest->end());
  return out;
}

} // namespace hubgate::hdf5
