#include "proxy/xet/reconstruction.hpp"

#include "proxy/xet/xorb.hpp"

#include <algorithm>

namespace hubgate::xet {
namespace json = boost::json;
namespace {

constexpr std::size_t k_terms_most = std::size_t{1} << 20;
constexpr std::size_t k_ranges_most = std::size_t{1} << 20;
constexpr std::size_t k_url_most = std::size_t{64} << 10;

Error wrong(std::string_view field) {
  return Error{"a reconstruction's " + std::string(field) + " is missing or wrong"};
}

Result<std::uint64_t> number(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value != nullptr && value->is_uint64()) return value->get_uint64();
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0)
    return static_cast<std::uint64_t>(value->get_int64());
  return wrong(key);
}

Result<const json::object*> object_of(const json::value& value, std::string_view what) {
  if (const auto* object = value.if_object()) return object;
  return wrong(what);
}

Result<const json::object*> object_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return wrong(key);
  return object_of(*value, key);
}

Result<const json::array*> array_of(const json::value* value, std::string_view what) {
  if (value != nullptr)
    if (const auto* array = value->if_array()) return array;
  return wrong(what);
}

Result<ChunkRange> chunk_range(const json::object& parent, std::string_view key) {
  const auto* object = HUBGATE_TRY(object_of(parent, key));
  const std::uint64_t begin = HUBGATE_TRY(number(*object, "start"));
  const std::uint64_t end = HUBGATE_TRY(number(*object, "end"));
  if (begin >= end || end > k_chunks_most) return wrong(key);
  return ChunkRange{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

Result<FetchRange> fetch_range(const json::object& object, std::string_view chunks,
                               std::string_view bytes) {
  FetchRange out;
  out.chunks = HUBGATE_TRY(chunk_range(object, chunks));
  const auto* span = HUBGATE_TRY(object_of(object, bytes));
  out.first = HUBGATE_TRY(number(*span, "start"));
  out.last = HUBGATE_TRY(number(*span, "end"));
  if (out.first > out.last || out.last >= k_xorb_most) return wrong(bytes);
  return out;
}

Result<std::string> url_of(const json::object& object) {
  const json::value* value = object.if_contains("url");
  if (value == nullptr || !value->is_string()) return wrong("url");
  const std::string_view url = value->get_string();
  if (url.empty() || url.size() > k_url_most) return wrong("url");
  return std::string(url);
}

Result<Term> read_term(const json::value& value) {
  const auto* object = HUBGATE_TRY(object_of(value, "term"));
  const json::value* hash = object->if_contains("hash");
  if (hash == nullptr || !hash->is_string()) return wrong("hash");
  const auto xorb = Hash::from_text(hash->get_string());
  if (!xorb) return wrong("hash");
  Term out;
  out.xorb = *xorb;
  out.bytes = HUBGATE_TRY(number(*object, "unpacked_length"));
  out.chunks = HUBGATE_TRY(chunk_range(*object, "range"));
  if (out.bytes == 0 || out.bytes > std::uint64_t{out.chunks.end - out.chunks.begin} * k_chunk_most)
    return wrong("unpacked_length");
  return out;
}

Result<Fetch> read_fetch(const json::value& value, Shape shape) {
  const auto* object = HUBGATE_TRY(object_of(value, "fetch"));
  Fetch out;
  out.url = HUBGATE_TRY(url_of(*object));
  if (shape == Shape::v1) {
    out.ranges.push_back(HUBGATE_TRY(fetch_range(*object, "range", "url_range")));
    return out;
  }
  const auto* ranges = HUBGATE_TRY(array_of(object->if_contains("ranges"), "ranges"));
  for (const auto& range: *ranges) {
    const auto* entry = HUBGATE_TRY(object_of(range, "ranges"));
    out.ranges.push_back(HUBGATE_TRY(fetch_range(*entry, "chunks", "bytes")));
  }
  if (out.ranges.empty()) return wrong("ranges");
  return out;
}

std::string_view fetches_key(Shape shape) {
  return shape == Shape::v1 ? "fetch_info" : "xorbs";
}

bool covered(const Term& term, const std::map<Hash, std::vector<Fetch>>& fetches) {
  const auto found = fetches.find(term.xorb);
  if (found == fetches.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const Fetch& fetch) {
    return std::any_of(fetch.ranges.begin(), fetch.ranges.end(), [&](const FetchRange& range) {
      return range.chunks.begin <= term.chunks.begin && term.chunks.end <= range.chunks.end;
    });
  });
}

json::object span_json(std::uint64_t start, std::uint64_t end) {
  return {{"start", start}, {"end", end}};
}

} // namespace

std::uint64_t Reconstruction::bytes() const {
  std::uint64_t out = 0;
  for (const auto& term: terms)
    out += term.bytes; // at most 2^20 terms of 2^30 bytes
  return out;
}

Result<Reconstruction> read_reconstruction(std::string_view text, Shape shape) {
  if (text.size() > k_reconstruction_most) return Error{"a reconstruction of more than 64 MiB"};
  boost::system::error_code code;
  json::parse_options options;
  options.max_depth = 16;
  const json::value root = json::parse(text, code, {}, options);
  if (code) return Error{"a reconstruction is no JSON"};
  const auto* object = HUBGATE_TRY(object_of(root, "object"));

  Reconstruction out;
  out.offset_into_first_range = HUBGATE_TRY(number(*object, "offset_into_first_range"));
  const auto* terms = HUBGATE_TRY(array_of(object->if_contains("terms"), "terms"));
  if (terms->size() > k_terms_most) return Error{"a reconstruction of too many terms"};
  for (const auto& term: *terms)
    out.terms.push_back(HUBGATE_TRY(read_term(term)));

  const auto* fetches = HUBGATE_TRY(object_of(*object, fetches_key(shape)));
  std::size_t ranges = 0;
  for (const auto& [key, value]: *fetches) {
    const auto xorb = Hash::from_text(key);
    if (!xorb) return wrong(fetches_key(shape));
    auto& of_xorb = out.fetches[*xorb];
    for (const auto& fetch: *HUBGATE_TRY(array_of(&value, fetches_key(shape)))) {
      of_xorb.push_back(HUBGATE_TRY(read_fetch(fetch, shape)));
      ranges += of_xorb.back().ranges.size();
      if (ranges > k_ranges_most) return Error{"a reconstruction of too many ranges"};
    }
  }
  for (const auto& term: out.terms)
    if (!covered(term, out.fetches)) return Error{"a reconstruction has no address for a term"};
  if (!out.terms.empty() && out.offset_into_first_range >= out.terms.front().bytes)
    return wrong("offset_into_first_range");
  return out;
}

json::object to_json(const Reconstruction& reconstruction, Shape shape) {
  json::array terms;
  for (const auto& term: reconstruction.terms)
    terms.push_back({{"hash", term.xorb.text()},
                     {"unpacked_length", term.bytes},
                     {"range", span_json(term.chunks.begin, term.chunks.end)}});
  json::object fetches;
  for (const auto& [xorb, of_xorb]: reconstruction.fetches) {
    json::array list;
    for (const auto& fetch: of_xorb) {
      json::array ranges;
      for (const auto& range: fetch.ranges) {
        const json::object chunks = span_json(range.chunks.begin, range.chunks.end);
        const json::object bytes = span_json(range.first, range.last);
        if (shape == Shape::v1)
          list.push_back({{"range", chunks}, {"url", fetch.url}, {"url_range", bytes}});
        else
          ranges.push_back({{"chunks", chunks}, {"bytes", bytes}});
      }
      if (shape == Shape::v2) list.push_back({{"url", fetch.url}, {"ranges", std::move(ranges)}});
    }
    fetches[xorb.text()] = std::move(list);
  }
  json::object out;
  out["offset_into_first_range"] = reconstruction.offset_into_first_range;
  out["terms"] = std::move(terms);
  out[fetches_key(shape)] = std::move(fetches);
  return out;
}

} // namespace hubgate::xet
