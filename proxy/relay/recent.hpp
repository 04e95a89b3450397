#pragma once
// Recent: a bounded map that forgets what was not asked for the longest.
#include <list>
#include <string>
#include <unordered_map>

namespace hubgate::proxy {

template <typename T> class Recent {
public:
  /// `capacity`: of all entries' weights together.
  explicit Recent(std::size_t capacity) : capacity_(capacity) {}

  /// Null when it is not known (any more).
  T* find(const std::string& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return &at->second->value;
  }

  /// One that weighs more than the capacity is not kept.
  void put(const std::string& key, T value, std::size_t weight = 1) {
    erase(key);
    order_.push_front(Entry{key, std::move(value), weight});
    index_[key] = order_.begin();
    weight_ += weight;
    while (weight_ > capacity_)
      erase(std::string(order_.back().key));
  }

  void erase(const std::string& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return;
    weight_ -= at->second->weight;
    order_.erase(at->second);
    index_.erase(at);
  }

  std::size_t size() const { return order_.size(); }

private:
  struct Entry {
    std::string key;
    T value;
    std::size_t weight;
  };
  std::size_t capacity_;
  std::size_t weight_ = 0;
  std::list<Entry> order_;
  std::unordered_map<std::string, typename std::list<Entry>::iterator> index_;
};

} // namespace hubgate::proxy
