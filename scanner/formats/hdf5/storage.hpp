#pragma once
// Where HDF5 keeps what does not fit into an object header: B-trees, local, global and fractal
// heaps (specification section III). Every structure is visited once; the first trouble is kept.
#include "scanner/formats/hdf5/messages.hpp"

#include <functional>
#include <map>

namespace hubgate::hdf5 {

/// One object of a global heap collection.
struct HeapObject {
  std::uint32_t index = 0;
  std::uint64_t place = 0; ///< in the source
  std::uint64_t size = 0;
};

class Storage {
public:
  explicit Storage(File& file) : file_(file) {}

  /// An old group: links of the B-tree at `tree`, names in the local heap at `heap`.
  void old_group(std::uint64_t tree, std::uint64_t heap, const std::function<void(Link)>& visit);

  /// The objects (links, attributes) of a fractal heap in the order of the B-tree of names at
  /// `tree`; the bytes are valid inside of the call. `skip`: bytes of a record before the heap id.
  void heap_objects(std::uint64_t heap, std::uint64_t tree, std::size_t skip,
                    const std::function<void(Bytes, std::uint64_t place)>& visit);

  /// Chunks of a version 1 B-tree: address and bytes as stored, mask of the filters left out.
  void chunks(std::uint64_t tree, std::size_t rank,
              const std::function<void(std::uint64_t, std::uint64_t, std::uint32_t)>& visit);

  /// Records of a version 2 B-tree.
  void records(std::uint64_t tree, const std::function<void(Bytes)>& visit);

  /// A collection's objects; parsed once. Null when there is none at `address`.
  const std::vector<HeapObject>* collection(std::uint64_t address);
  template <typename Visit> void each_collection(Visit visit) const {
    for (const auto& [address, objects]: collections_)
      visit(address, objects);
  }
  const HeapObject* heap_object(std::uint64_t address, std::uint32_t index);

  /// Zero-ended text in the local heap at `heap`.
  std::optional<std::string> local_name(std::uint64_t heap, std::uint64_t offset);

  const Trouble& trouble() const { return trouble_; }
  void fail(Trouble::Kind kind, std::uint64_t address, std::string_view what) {
    if (trouble_.kind == Trouble::Kind::none) trouble_ = {kind, address, what};
  }
  /// Whether the checksum at the end of `bytes` is right; says so otherwise.
  bool summed(Bytes bytes, std::uint64_t address);

private:
  struct LocalHeap {
    std::uint64_t data = k_undefined;
    std::uint64_t size = 0;
  };
  struct FractalHeap;
  struct Block {
    std::uint64_t begin; ///< in the heap's own space
    std::uint64_t size;
    std::uint64_t address;
  };
  struct Tree2 {
    std::size_t node = 0;
    std::size_t record = 0;
    std::uint64_t total = 0;
    std::vector<std::uint64_t> most; ///< records of a node of a depth, with all below it
    std::size_t count_width = 0;
  };

  const LocalHeap* local_heap(std::uint64_t heap);
  void symbols(std::uint64_t address, std::uint64_t heap, const std::function<void(Link)>& visit);
  std::optional<FractalHeap> fractal_heap(std::uint64_t address);
  void direct_block(std::uint64_t address, std::uint64_t begin, std::uint64_t size,
                    std::vector<Block>& out);
  void indirect_block(const FractalHeap& heap, std::uint64_t address, std::uint64_t begin,
                      std::uint64_t rows, std::vector<Block>& out, int depth);
  void managed(const FractalHeap& heap, const std::vector<Block>& blocks, Bytes id,
               const std::function<void(Bytes, std::uint64_t)>& visit);
  void huge(const FractalHeap& heap, Bytes id,
            const std::function<void(Bytes, std::uint64_t)>& visit);
  void node2(const Tree2& tree, std::uint64_t address, std::uint64_t count, std::size_t depth,
             const std::function<void(Bytes)>& visit);

  File& file_;
  Trouble trouble_;
  std::map<std::uint64_t, LocalHeap> local_;
  std::map<std::uint64_t, std::vector<HeapObject>> collections_;
  /// Huge objects by the tree that lists them: number to address and length.
  std::map<std::uint64_t, std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>>> huge_;
  std::size_t heap_objects_ = 0;
};

} // namespace hubgate::hdf5
