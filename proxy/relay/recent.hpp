#pragma once
// Recent: a bounded map that forgets what was not asked for the longest.
#include <list>
#include <string>
#include <unordered_map>

namespace hubgate::proxy {

template <typename T> class Recent {
public:
  explicit Recent(std::size_t capacity) : capacity_(capacity) {}

  /// Null when it is not known (any more).
  T* find(const std::string& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return &at->second->second;
  }

  void put(const std::string& key, T value) {
    if (T* known = find(key)) {
      *known = std::move(value);
      return;
    }
    order_.emplace_front(key, std::move(value));
    index_[key] = order_.begin();
    if (order_.size() <= capacity_) return;
    index_.erase(order_.back().first);
    order_.pop_back();
  }

  void erase(const std::string& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return;
    order_.erase(at->second);
    index_.erase(at);
  }

  std::size_t size() const { return order_.size(); }

private:
  std::size_t capacity_;
  std::list<std::pair<std::string, T>> order_;
  std::unordered_map<std::string, typename std::list<std::pair<std::string, T>>::iterator> index_;
};

} // namespace hubgate::proxy
