// Command checklog checks an exported log with Go's own implementation of
// signed notes and transparency trees, golang.org/x/mod/sumdb/{note,tlog}: the
// checkpoint's signature, every tile on the way to every leaf, the inclusion of
// every leaf, and that trees of earlier sizes are beginnings of this one.
//
//	checklog FOLDER VKEY [RECEIPT LEAF]
//
// It prints one line and ends with 0, or says what is wrong and ends with 1.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256 // hashes of a full tile, entries of a bundle

// checkpoint opens a C2SP tlog-checkpoint.
func checkpoint(text []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

// tiles reads C2SP tlog-tiles; they differ from sumdb's by their path alone.
type tiles struct{ folder string }

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.folder, path))
		if err != nil {
			return nil, err
		}
		read = append(read, data)
	}
	return read, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// number writes a tile's number as paths have it.
func number(n int64) string {
	text := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		text = fmt.Sprintf("x%03d/%s", n%1000, text)
	}
	return text
}

// entries reads all leaves of a tree from its bundles.
func entries(folder string, size int64) ([][]byte, error) {
	var all [][]byte
	for n := int64(0); n*width < size; n++ {
		count := size - n*width
		path := filepath.Join(folder, "tile/entries", number(n))
		if count < width {
			path += fmt.Sprintf(".p/%d", count)
		} else {
			count = width
		}
		bundle, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for i := int64(0); i < count; i++ {
			if len(bundle) < 2 {
				return nil, fmt.Errorf("%s is cut short", path)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			if len(bundle) < 2+length {
				return nil, fmt.Errorf("%s is cut short", path)
			}
			all = append(all, bundle[2:2+length])
			bundle = bundle[2+length:]
		}
		if len(bundle) > 0 {
			return nil, fmt.Errorf("%s has more than its entries", path)
		}
	}
	return all, nil
}

func checkLeaves(tree tlog.Tree, reader tlog.HashReader, leaves [][]byte) error {
	for i, leaf := range leaves {
		proof, err := tlog.ProveRecord(tree.N, int64(i), reader)
		if err != nil {
			return fmt.Errorf("leaf %d: %v", i, err)
		}
		hash := tlog.RecordHash(leaf)
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), hash); err != nil {
			return fmt.Errorf("leaf %d: %v", i, err)
		}
	}
	return nil
}

func checkGrowth(tree tlog.Tree, reader tlog.HashReader) error {
	for size := int64(1); size < tree.N; size += 1 + size/7 {
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			return fmt.Errorf("size %d: %v", size, err)
		}
		proof, err := tlog.ProveTree(tree.N, size, reader)
		if err != nil {
			return fmt.Errorf("size %d: %v", size, err)
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, size, root); err != nil {
			return fmt.Errorf("size %d: %v", size, err)
		}
	}
	return nil
}

func checkLog(folder, vkey string) (tlog.Tree, error) {
	text, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := checkpoint(text, vkey)
	if err != nil {
		return tree, err
	}
	leaves, err := entries(folder, tree.N)
	if err != nil {
		return tree, err
	}
	reader := tlog.TileHashReader(tree, tiles{folder})
	if err := checkLeaves(tree, reader, leaves); err != nil {
		return tree, err
	}
	return tree, checkGrowth(tree, reader)
}

// checkReceipt checks a C2SP tlog-proof.
func checkReceipt(path, leafPath, vkey string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(leafPath)
	if err != nil {
		return err
	}
	parts := bytes.SplitN(text, []byte("\n\n"), 2)
	lines := strings.Split(string(parts[0]), "\n")
	if len(parts) != 2 || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return fmt.Errorf("a damaged hash")
		}
		var hash tlog.Hash
		copy(hash[:], raw)
		proof = append(proof, hash)
	}
	tree, err := checkpoint(parts[1], vkey)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "checklog:", err)
	os.Exit(1)
}

func main() {
	if len(os.Args) != 3 && len(os.Args) != 5 {
		fail(fmt.Errorf("checklog FOLDER VKEY [RECEIPT LEAF]"))
	}
	tree, err := checkLog(os.Args[1], os.Args[2])
	if err != nil {
		fail(err)
	}
	if len(os.Args) == 5 {
		if err := checkReceipt(os.Args[3], os.Args[4], os.Args[2]); err != nil {
			fail(err)
		}
	}
	fmt.Printf("%d leaves, root %v\n", tree.N, tree.Hash)
}
