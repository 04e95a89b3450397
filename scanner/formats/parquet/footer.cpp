#include "scanner/formats/parquet/footer.hpp"

#include "scanner/formats/parquet/thrift.hpp"

namespace hubgate::parquet {
namespace {

using Field = Thrift::Field;

std::string text_of(std::optional<Bytes> bytes) {
  return bytes ? std::string(as_text(*bytes)) : std::string();
}

void element(Thrift& in, Element& out) {
  in.enter();
  for (Field field; in.next(field);) {
    switch (field.id) {
    case 1:
      out.type = in.integer(field);
      break;
    case 2:
      out.length = in.integer(field).value_or(0);
      break;
    case 3:
      out.repetition = in.integer(field).value_or(0);
      break;
    case 4:
      out.name = text_of(in.binary(field));
      break;
    case 5:
      out.children = in.integer(field).value_or(0);
      break;
    default:
      in.skip(field);
    }
  }
  in.leave();
}

void path(Thrift& in, const Field& field, std::string& out) {
  const auto list = in.list(field);
  if (!list) return;
  for (std::uint64_t i = 0; i < list->size && !in.failed(); ++i) {
    if (list->type != Wire::binary) {
      in.skip_element(list->type);
      continue;
    }
    if (i > 0) out += '.';
    out += text_of(in.element_binary());
  }
}

void column_metadata(Thrift& in, Chunk& out) {
  std::int64_t bloom = 0;
  std::int64_t bloom_length = 0;
  in.enter();
  for (Field field; in.next(field);) {
    switch (field.id) {
    case 1:
      out.type = in.integer(field).value_or(-1);
      break;
    case 3:
      path(in, field, out.path);
      break;
    case 4:
      out.codec = in.integer(field).value_or(-1);
      break;
    case 5:
      out.values = in.integer(field).value_or(-1);
      break;
    case 6:
      out.unpacked = in.integer(field).value_or(-1);
      break;
    case 7:
      out.packed = in.integer(field).value_or(-1);
      break;
    case 9:
      out.data_page = in.integer(field).value_or(-1);
      break;
    case 10:
      out.index_page = in.integer(field);
      break;
    case 11:
      out.dictionary_page = in.integer(field);
      break;
    case 14:
      bloom = in.integer(field).value_or(0);
      break;
    case 15:
      bloom_length = in.integer(field).value_or(0);
      break;
    default:
      in.skip(field);
    }
  }
  in.leave();
  if (bloom != 0) out.beside.emplace_back(bloom, bloom_length);
  out.described = true;
}

void chunk(Thrift& in, Chunk& out) {
  std::int64_t offset_index = 0;
  std::int64_t offset_index_length = 0;
  std::int64_t column_index = 0;
  std::int64_t column_index_length = 0;
  in.enter();
  for (Field field; in.next(field);) {
    switch (field.id) {
    case 1:
      out.file_path = text_of(in.binary(field));
      break;
    case 3:
      if (field.type == Wire::structure)
        column_metadata(in, out);
      else
        in.skip(field);
      break;
    case 4:
      offset_index = in.integer(field).value_or(0);
      break;
    case 5:
      offset_index_length = in.integer(field).value_or(0);
      break;
    case 6:
      column_index = in.integer(field).value_or(0);
      break;
    case 7:
      column_index_length = in.integer(field).value_or(0);
      break;
    case 8:
    case 9:
      out.encrypted = true;
      in.skip(field);
      break;
    default:
      in.skip(field);
    }
  }
  in.leave();
  if (offset_index != 0) out.beside.emplace_back(offset_index, offset_index_length);
  if (column_index != 0) out.beside.emplace_back(column_index, column_index_length);
}

void row_group(Thrift& in, RowGroup& out, std::uint64_t& budget) {
  in.enter();
  for (Field field; in.next(field);) {
    if (field.id == 3) {
      out.rows = in.integer(field).value_or(-1);
      continue;
    }
    if (field.id != 1) {
      in.skip(field);
      continue;
    }
    const auto list = in.list(field);
    for (std::uint64_t i = 0; list && i < list->size && !in.failed(); ++i) {
      if (list->type != Wire::structure || budget == 0) {
        in.skip_element(list->type);
        continue;
      }
      --budget;
      chunk(in, out.chunks.emplace_back());
    }
  }
  in.leave();
}

void key_value(Thrift& in, std::pair<std::string, std::string>& out) {
  in.enter();
  for (Field field; in.next(field);) {
    if (field.id == 1)
      out.first = text_of(in.binary(field));
    else if (field.id == 2)
      out.second = text_of(in.binary(field));
    else
      in.skip(field);
  }
  in.leave();
}

void page_body(Thrift& in, PageHeader& out, std::int32_t kind) {
  in.enter();
  for (Field field; in.next(field);) {
    const bool second = kind == 8;
    if (field.id == 1)
      out.values = in.integer(field).value_or(-1);
    else if (field.id == (second ? 4 : 2))
      out.encoding = in.integer(field).value_or(-1);
    else if (!second && kind == 5 && field.id == 3)
      out.definition_encoding = in.integer(field).value_or(-1);
    else if (!second && kind == 5 && field.id == 4)
      out.repetition_encoding = in.integer(field).value_or(-1);
    else if (second && field.id == 5)
      out.definition_bytes = in.integer(field).value_or(-1);
    else if (second && field.id == 6)
      out.repetition_bytes = in.integer(field).value_or(-1);
    else if (second && field.id == 7)
      out.compressed = in.integer(field).value_or(1) != 0;
    else
      in.skip(field);
  }
  in.leave();
  out.described = true;
}

} // namespace

std::optional<Footer> read_footer(Bytes bytes) {
  Thrift in(bytes);
  Footer out;
  std::uint64_t chunks = k_max_columns;
  in.enter();
  for (Field field; in.next(field);) {
    switch (field.id) {
    case 1:
      out.version = in.integer(field).value_or(-1);
      break;
    case 3:
      out.rows = in.integer(field).value_or(-1);
      break;
    case 6:
      out.created_by = text_of(in.binary(field));
      break;
    case 8:
      out.encrypted = true;
      in.skip(field);
      break;
    case 2:
    case 4:
    case 5: {
      const auto list = in.list(field);
      for (std::uint64_t i = 0; list && i < list->size && !in.failed(); ++i) {
        if (list->type != Wire::structure)
          in.skip_element(list->type);
        else if (field.id == 2)
          element(in, out.schema.emplace_back());
        else if (field.id == 4)
          row_group(in, out.groups.emplace_back(), chunks);
        else
          key_value(in, out.metadata.emplace_back());
      }
      break;
    }
    default:
      in.skip(field);
    }
  }
  if (in.failed() || out.schema.empty()) return std::nullopt;
  out.length = in.position();
  return out;
}

std::optional<std::vector<Column>> columns_of(const std::vector<Element>& schema) {
  struct Open {
    std::string path;
    std::int64_t left;
    unsigned definition;
    unsigned repetition;
  };
  constexpr std::size_t k_depth = 200;
  constexpr std::size_t k_path = 400;
  std::vector<Column> out;
  std::vector<Open> open;
  open.push_back({"", schema[0].children, 0, 0});
  for (std::size_t i = 1; i < schema.size(); ++i) {
    while (!open.empty() && open.back().left == 0)
      open.pop_back();
    if (open.empty() || open.size() > k_depth) return std::nullopt;
    Open& parent = open.back();
    --parent.left;
    const Element& item = schema[i];
    std::string path = parent.path;
    if (!path.empty()) path += '.';
    path += item.name;
    if (path.size() > k_path) path.resize(k_path);
    const unsigned definition = parent.definition + (item.repetition != 0 ? 1 : 0);
    const unsigned repetition = parent.repetition + (item.repetition == 2 ? 1 : 0);
    // A group may be empty, but then it has no type either.
    if (item.type)
      out.push_back({std::move(path), *item.type, item.length, definition, repetition});
    else if (item.children < 0)
      return std::nullopt;
    else
      open.push_back({std::move(path), item.children, definition, repetition});
  }
  while (!open.empty() && open.back().left == 0)
    open.pop_back();
  if (!open.empty()) return std::nullopt;
  return out;
}

std::optional<PageHeader> read_page_header(Bytes bytes) {
  Thrift in(bytes);
  PageHeader out;
  in.enter();
  for (Field field; in.next(field);) {
    switch (field.id) {
    case 1:
      out.type = in.integer(field).value_or(-1);
      break;
    case 2:
      out.unpacked = in.integer(field).value_or(-1);
      break;
    case 3:
      out.packed = in.integer(field).value_or(-1);
      break;
    case 5:
    case 7:
    case 8:
      if (field.type == Wire::structure)
        page_body(in, out, field.id);
      else
        in.skip(field);
      break;
    default:
      in.skip(field);
    }
  }
  if (in.failed()) return std::nullopt;
  out.length = in.position();
  return out;
}

} // namespace hubgate::parquet
