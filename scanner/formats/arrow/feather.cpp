#include "scanner/formats/arrow/feather.hpp"

#include "scanner/core/reader.hpp"
#include "scanner/generic/text_value.hpp"

namespace hubgate::arrow {
namespace {

constexpr std::uint64_t k_end = 8; ///< length of the metadata, and the magic
constexpr std::size_t k_max_text = std::size_t{16} << 20;

// feather.fbs, enum Type: the ones whose values are bytes.
constexpr std::int8_t k_utf8 = 11;
constexpr std::int8_t k_binary = 12;

std::uint64_t padded(std::uint64_t n) {
  return (n + 7) & ~std::uint64_t{7};
}

class Feather {
public:
  Feather(Source& source, Session& session, const BatchRules& rules)
      : source_(source), session_(session), judge_(session), rules_(rules),
        walk_(source, session, judge_, rules_) {}

  bool array(Flatbuffer& buffer, const FlatTable& table, std::string_view name,
             std::uint64_t limit) {
    const auto type = buffer.number<std::int8_t>(table, 0, 0);
    const auto offset = buffer.number<std::uint64_t>(table, 2, 0);
    const auto rows = buffer.number<std::uint64_t>(table, 3, 0);
    const auto nulls = buffer.number<std::uint64_t>(table, 4, 0);
    const auto bytes = buffer.number<std::uint64_t>(table, 5, 0);
    if (offset > limit || bytes > limit - offset || rows > limit * 8) return false;
    if (type != k_utf8 && type != k_binary) return true;
    const std::uint64_t bitmap = nulls > 0 ? padded((rows + 7) / 8) : 0;
    const std::uint64_t offsets = (rows + 1) * 4;
    if (bitmap > bytes || padded(offsets) > bytes - bitmap) return rows == 0;
    SubSource lengths(source_, offset + bitmap, offsets);
    const std::uint64_t data = bitmap + padded(offsets);
    SubSource values(source_, offset + data, bytes - data);
    return walk_.values(lengths, offsets, 4, values, name, offset);
  }

  Reading run(std::uint64_t begin, std::uint64_t length) {
    Flatbuffer buffer(source_, begin, length);
    const auto table = buffer.root();
    const auto columns = table ? buffer.vector(*table, 2, 4) : std::nullopt;
    bool fine = table && buffer.failure() == FlatFailure::none;
    for (const std::uint16_t id: {std::uint16_t{0}, std::uint16_t{4}})
      if (table)
        if (const auto text = buffer.string(*table, id, k_max_text))
          scan_text_value(session_, "table metadata", *text, begin);
    for (std::uint32_t i = 0; fine && columns && i < columns->count; ++i) {
      const auto column = buffer.table_at(*columns, i);
      const auto values = column ? buffer.table(*column, 1) : std::nullopt;
      if (!values) {
        fine = false;
        break;
      }
      const std::string name = "column " + buffer.string(*column, 0, 300).value_or(std::string());
      if (const auto text = buffer.string(*column, 4, k_max_text))
        scan_text_value(session_, name + " metadata", *text, begin);
      fine = array(buffer, *values, name, begin);
      // A category's levels are an array of their own.
      if (buffer.number<std::uint8_t>(*column, 2, 0) == 1)
        if (const auto category = buffer.table(*column, 3))
          if (const auto levels = buffer.table(*category, 0))
            fine = array(buffer, *levels, name + " levels", begin) && fine;
    }
    if (fine && buffer.failure() == FlatFailure::none) return Reading::valid;
    session_.find(rules_.structure, begin, length, "columns lie where they can't be");
    session_.gap(Reason::malformed, Reach::data, begin, "the table of columns can't be read");
    return Reading::broken;
  }

private:
  Source& source_;
  Session& session_;
  ValueJudge judge_;
  const BatchRules& rules_;
  BatchWalk walk_;
};

} // namespace

bool is_feather_one(Bytes head) {
  return head.size() >= 16 && starts_with(head, "FEA1") && head[4] < 0x20;
}

Reading scan_feather_one(Source& source, Session& session, const BatchRules& rules) {
  const std::uint64_t size = source.wait_end();
  Reader end(size >= k_end + 4 ? source.view(size - k_end, k_end) : Bytes{});
  const auto length = end.le<std::uint32_t>();
  const auto magic = end.take(4);
  if (!length || !magic || !starts_with(*magic, "FEA1") || *length > size - k_end - 4) {
    session.gap(Reason::truncated, Reach::data, size, "no table of columns at the end");
    return Reading::broken;
  }
  return Feather(source, session, rules).run(size - k_end - *length, *length);
}

} // namespace hubgate::arrow
