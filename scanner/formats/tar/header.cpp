#include "scanner/formats/tar/header.hpp"

#include <algorithm>

namespace hubgate::tar {
namespace {

constexpr std::uint64_t k_largest = (std::uint64_t{1} << 63) - 1;

std::string text_field(Bytes block, std::size_t at, std::size_t size) {
  const std::string_view text = as_text(block.subspan(at, size));
  return std::string(text.substr(0, text.find('\0')));
}

bool checksum_matches(Bytes block) {
  const Number stated = read_number(block.subspan(148, 8));
  if (stated.malformed || stated.negative) return false;
  std::int64_t plain = 0;
  std::int64_t with_sign = 0; // Sun's tar summed signed characters
  for (std::size_t i = 0; i < k_block; ++i) {
    const std::uint8_t c = i >= 148 && i < 156 ? std::uint8_t{' '} : block[i];
    plain += c;
    with_sign += static_cast<std::int8_t>(c);
  }
  const auto sum = static_cast<std::int64_t>(stated.value);
  return sum == plain || sum == with_sign;
}

void add_sparse(Bytes block, std::size_t at, std::size_t count,
                std::vector<std::pair<std::uint64_t, std::uint64_t>>& sparse) {
  for (std::size_t i = 0; i < count; ++i, at += 24) {
    if (block[at + 12] == 0) return;
    const Number offset = read_number(block.subspan(at, 12));
    const Number length = read_number(block.subspan(at + 12, 12));
    sparse.emplace_back(offset.value, length.value);
  }
}

} // namespace

Number read_number(Bytes field) {
  Number number;
  if (!field.empty() && (field[0] & 0x80) != 0) {
    number.negative = (field[0] & 0x40) != 0;
    std::uint64_t value = field[0] & 0x3fu;
    for (const std::uint8_t byte: field.subspan(1)) {
      if (value > k_largest >> 8) number.malformed = true;
      value = (value << 8) | byte;
    }
    if (number.negative || number.malformed) return number;
    number.value = value;
    return number;
  }
  std::size_t at = 0;
  while (at < field.size() && (field[at] == ' ' || field[at] == 0))
    ++at;
  for (; at < field.size() && field[at] >= '0' && field[at] <= '7'; ++at) {
    if (number.value > k_largest >> 3) number.malformed = true;
    number.value = (number.value << 3) | (field[at] - std::uint64_t{'0'});
  }
  for (; at < field.size(); ++at)
    if (field[at] != ' ' && field[at] != 0) number.malformed = true;
  return number;
}

std::optional<Header> read_header(Bytes block) {
  if (block.size() < k_block || !checksum_matches(block)) return std::nullopt;
  Header header;
  header.type = static_cast<char>(block[156]);
  header.size = read_number(block.subspan(124, 12));
  header.name = text_field(block, 0, 100);
  header.link = text_field(block, 157, 100);
  const std::string_view magic = as_text(block.subspan(257, 8));
  header.ustar = magic.starts_with("ustar");
  header.gnu = magic.substr(0, 7) == "ustar  ";
  if (header.ustar && !header.gnu) {
    const std::string prefix = text_field(block, 345, 155);
    if (!prefix.empty()) header.name = prefix + '/' + header.name;
  }
  if (header.type == 'S') {
    add_sparse(block, 386, 4, header.sparse);
    header.sparse_continues = block[482] != 0;
    header.real_size = read_number(block.subspan(483, 12)).value;
  }
  return header;
}

bool read_sparse_block(Bytes block, std::vector<std::pair<std::uint64_t, std::uint64_t>>& sparse) {
  if (block.size() < k_block) return false;
  add_sparse(block, 0, 21, sparse);
  return block[504] != 0;
}

bool is_zero_block(Bytes block) {
  return block.size() == k_block &&
         std::all_of(block.begin(), block.end(), [](std::uint8_t c) { return c == 0; });
}

std::optional<std::uint64_t> read_decimal(std::string_view text) {
  if (text.empty() || text.size() > 19) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c: text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value <= k_largest ? std::optional(value) : std::nullopt;
}

std::optional<std::vector<PaxRecord>> read_pax(Bytes body) {
  std::vector<PaxRecord> records;
  std::string_view rest = as_text(body);
  while (!rest.empty()) {
    const std::size_t blank = rest.find(' ');
    if (blank == std::string_view::npos || blank > 19) return std::nullopt;
    const auto length = read_decimal(rest.substr(0, blank));
    if (!length || *length <= blank + 2 || *length > rest.size()) return std::nullopt;
    const std::string_view record = rest.substr(0, static_cast<std::size_t>(*length));
    const std::size_t equals = record.find('=', blank);
    if (record.back() != '\n' || equals == std::string_view::npos || equals == blank + 1)
      return std::nullopt;
    records.push_back({std::string(record.substr(blank + 1, equals - blank - 1)),
                       std::string(record.substr(equals + 1, record.size() - equals - 2))});
    rest.remove_prefix(record.size());
  }
  return records;
}

std::uint64_t padded(std::uint64_t size) {
  return size > k_largest - k_block ? k_largest : (size + k_block - 1) / k_block * k_block;
}

} // namespace hubgate::tar
