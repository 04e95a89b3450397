#include "scanner/formats/keras_config/tree.hpp"

namespace hubgate::keras {
namespace {

constexpr std::size_t k_max_pool = std::size_t{96} << 20;

} // namespace

Tree Tree::read(Source& source, std::uint64_t end) {
  Tree out;
  JsonReader reader(source, 0, end,
                    {.dialect = JsonOptions::Dialect::python, .depth = 1000, .keys = k_max_nodes});
  struct Open {
    std::uint32_t node;
    std::uint32_t last;
  };
  std::vector<Open> open;
  std::uint32_t key_begin = 0;
  std::uint32_t key_size = 0;
  const auto keep = [&](const std::string& text) {
    const auto at = static_cast<std::uint32_t>(out.pool_.size());
    out.pool_ += text;
    return at;
  };
  const auto add = [&](Kind kind) {
    const auto index = static_cast<std::uint32_t>(out.nodes_.size());
    Node node;
    node.offset = reader.offset();
    node.kind = kind;
    if (kind == Kind::text || kind == Kind::number || kind == Kind::boolean) {
      node.text_size = static_cast<std::uint32_t>(reader.text().size());
      node.text_begin = keep(reader.text());
    }
    node.key_begin = key_begin;
    node.key_size = key_size;
    key_size = 0;
    out.nodes_.push_back(node);
    if (!open.empty()) {
      auto& [parent, last] = open.back();
      (last == k_none ? out.nodes_[parent].first : out.nodes_[last].next) = index;
      last = index;
    }
    if (kind == Kind::object || kind == Kind::list) open.push_back({index, k_none});
  };
  for (bool going = true; going;) {
    if (out.nodes_.size() >= k_max_nodes || out.pool_.size() >= k_max_pool) {
      out.state_ = State::limit;
      break;
    }
    switch (reader.next()) {
    case JsonEvent::object_begin:
      add(Kind::object);
      break;
    case JsonEvent::array_begin:
      add(Kind::list);
      break;
    case JsonEvent::object_end:
    case JsonEvent::array_end:
      open.pop_back();
      break;
    case JsonEvent::key:
      key_begin = keep(reader.text());
      key_size = static_cast<std::uint32_t>(reader.text().size());
      break;
    case JsonEvent::string:
      add(Kind::text);
      break;
    case JsonEvent::number:
      add(Kind::number);
      break;
    case JsonEvent::boolean:
      add(Kind::boolean);
      break;
    case JsonEvent::null:
      add(Kind::null);
      break;
    case JsonEvent::end:
      going = false;
      break;
    case JsonEvent::error:
      out.state_ = reader.failure() == JsonFailure::truncated ? State::truncated
                   : reader.failure() == JsonFailure::limit   ? State::limit
                                                              : State::broken;
      going = false;
      break;
    }
  }
  out.end_ = reader.position();
  out.duplicates_ = reader.duplicates();
  out.first_duplicate_ = reader.first_duplicate();
  return out;
}

std::string_view Tree::key(std::uint32_t index) const {
  const Node& node = nodes_[index];
  return std::string_view(pool_).substr(node.key_begin, node.key_size);
}

std::string_view Tree::text(std::uint32_t index) const {
  if (index == k_none) return {};
  const Node& node = nodes_[index];
  return std::string_view(pool_).substr(node.text_begin, node.text_size);
}

std::uint32_t Tree::get(std::uint32_t object, std::string_view wanted) const {
  std::uint32_t found = k_none;
  if (!is(object, Kind::object)) return found;
  for (std::uint32_t at = nodes_[object].first; at != k_none; at = nodes_[at].next)
    if (key(at) == wanted) found = at;
  return found;
}

std::string_view Tree::get_text(std::uint32_t object, std::string_view wanted) const {
  const std::uint32_t at = get(object, wanted);
  return is(at, Kind::text) ? text(at) : std::string_view{};
}

} // namespace hubgate::keras
