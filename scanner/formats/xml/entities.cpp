#include "scanner/formats/xml/entities.hpp"

#include <algorithm>

namespace hubgate::xml {

namespace {

constexpr std::uint64_t k_much = std::uint64_t{8} << 20; ///< expat's own threshold
constexpr std::uint64_t k_factor = 20;
constexpr std::uint64_t k_ceiling = std::uint64_t{1} << 60;
constexpr unsigned k_depth = 64; ///< no honest entity nests so deep
constexpr std::size_t k_max_entities = 4096;

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return std::min(k_ceiling, a + std::min(b, k_ceiling));
}

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  return a != 0 && b > k_ceiling / a ? k_ceiling : a * b;
}

} // namespace

void Entities::declare(const std::string& name, std::string_view value, std::uint64_t offset) {
  if (entities_.contains(name) || entities_.size() >= k_max_entities) return;
  Entity entity;
  entity.offset = offset;
  entity.own = value.size();
  for (std::size_t at = value.find('&'); at != std::string_view::npos;
       at = value.find('&', at + 1)) {
    const std::size_t end = value.find(';', at);
    if (end == std::string_view::npos) break;
    const std::string_view part = value.substr(at + 1, end - at - 1);
    if (part.empty() || part.front() == '#' || part.size() > 256) continue;
    ++entity.parts[std::string(part)];
    entity.own -= std::min<std::uint64_t>(entity.own, part.size() + 2);
  }
  entities_.emplace(name, std::move(entity));
}

std::uint64_t Entities::expand(const std::string& name, unsigned depth) {
  const auto at = entities_.find(name);
  if (at == entities_.end()) return 0;
  Entity& entity = at->second;
  if (entity.state == Entity::State::done) return entity.expanded;
  if (entity.state == Entity::State::open || depth >= k_depth) {
    cyclic_ = true;
    return 0;
  }
  entity.state = Entity::State::open;
  std::uint64_t sum = entity.own;
  for (const auto& [part, count]: entity.parts)
    sum = add(sum, times(count, expand(part, depth + 1)));
  entity.expanded = sum;
  entity.state = Entity::State::done;
  return sum;
}

std::optional<Entities::Bomb> Entities::bomb(const std::map<std::string, std::uint64_t>& uses,
                                             std::uint64_t size) {
  std::uint64_t total = 0;
  for (auto& [name, entity]: entities_) {
    const auto at = uses.find(name);
    // One that is never referred to counts once: another reader may refer to it.
    const std::uint64_t count = std::max<std::uint64_t>(at == uses.end() ? 0 : at->second, 1);
    const std::uint64_t expanded = expand(name, 0);
    total = add(total, times(count, expanded));
    if (cyclic_) return Bomb{entity.offset, "entity " + name + " contains itself"};
    if (total > k_much && total / k_factor > size)
      return Bomb{entity.offset,
                  "with entity " + name + " " + std::to_string(size) + " bytes become " +
                      (total >= k_ceiling ? "more than 2^60" : std::to_string(total))};
  }
  return std::nullopt;
}

} // namespace hubgate::xml
