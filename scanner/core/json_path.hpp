#pragma once
// JsonPaths: the scalars of a JSON text with the path that leads to each: "nodes[].op". For formats
// that want a few values out of a text that is otherwise skipped.
#include "scanner/core/json.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

class JsonPaths {
public:
  JsonPaths(Source& source, std::uint64_t begin, std::uint64_t end, JsonOptions options = {})
      : reader_(source, begin, end, options) {}

  /// The next event; object_begin and array_begin come with the path of the value that begins,
  /// keys don't come at all.
  JsonEvent next() {
    for (;;) {
      const JsonEvent event = reader_.next();
      switch (event) {
      case JsonEvent::key:
        path_.resize(lengths_.empty() ? 0 : lengths_.back());
        if (!path_.empty()) path_ += '.';
        path_.append(reader_.text(), 0, k_max_key);
        continue;
      case JsonEvent::object_begin:
        lengths_.push_back(path_.size());
        return event;
      case JsonEvent::array_begin:
        path_ += "[]";
        lengths_.push_back(path_.size());
        return event;
      case JsonEvent::object_end:
      case JsonEvent::array_end:
        if (!lengths_.empty()) lengths_.pop_back();
        // Inside an array the next value has the array's own path.
        path_.resize(lengths_.empty() ? 0 : std::min(path_.size(), lengths_.back()));
        return event;
      default:
        // Inside an array the path ends with [] and stays.
        return event;
      }
    }
  }

  const std::string& path() const { return path_; }
  const JsonReader& json() const { return reader_; }
  JsonReader& json() { return reader_; }

private:
  static constexpr std::size_t k_max_key = 256;
  JsonReader reader_;
  std::string path_;
  std::vector<std::size_t> lengths_; ///< of path_ in each open object and array
};

} // namespace hubgate
