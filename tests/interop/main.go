// Reads a ledger's notes, tree and proofs with golang.org/x/mod/sumdb, an implementation that we had no part in.
// JSON on stdin, one JSON answer on stdout: what it could not confirm, and a note of its own making.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type signed struct {
	Vkey, Note string
}

type inclusion struct {
	Index, Size int64
	Proof       [][]byte
	Root        []byte
}

type consistency struct {
	Old, New         int64
	Proof            [][]byte
	OldRoot, NewRoot []byte
}

type question struct {
	Notes       []signed
	Entries     [][]byte
	Roots       map[int64][]byte
	Inclusion   []inclusion
	Consistency []consistency
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		found = append(found, h[index])
	}
	return found, nil
}

func hash(data []byte) (found tlog.Hash) {
	copy(found[:], data)
	return
}

func proof(nodes [][]byte) (found []tlog.Hash) {
	for _, node := range nodes {
		found = append(found, hash(node))
	}
	return
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	refused := []string{}
	refuse := func(what string, err error) {
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", what, err))
		}
	}
	for number, item := range asked.Notes {
		verifier, err := note.NewVerifier(item.Vkey)
		if err == nil {
			_, err = note.Open([]byte(item.Note), note.VerifierList(verifier))
		}
		refuse(fmt.Sprintf("note %d", number), err)
	}
	var stored hashes
	for index, entry := range asked.Entries {
		more, err := tlog.StoredHashes(int64(index), entry, stored)
		refuse(fmt.Sprintf("entry %d", index), err)
		stored = append(stored, more...)
	}
	for size, root := range asked.Roots {
		computed, err := tlog.TreeHash(size, stored)
		if err == nil && !bytes.Equal(computed[:], root) {
			err = fmt.Errorf("another root")
		}
		refuse(fmt.Sprintf("root %d", size), err)
	}
	for _, item := range asked.Inclusion {
		leaf := tlog.RecordHash(asked.Entries[item.Index])
		err := tlog.CheckRecord(proof(item.Proof), item.Size, hash(item.Root), item.Index, leaf)
		refuse(fmt.Sprintf("inclusion %d of %d", item.Index, item.Size), err)
	}
	for _, item := range asked.Consistency {
		err := tlog.CheckTree(proof(item.Proof), item.New, hash(item.NewRoot), item.Old, hash(item.OldRoot))
		refuse(fmt.Sprintf("consistency %d to %d", item.Old, item.New), err)
	}
	secret, public, err := note.GenerateKey(rand.Reader, "go.example/key")
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		panic(err)
	}
	own, err := note.Sign(&note.Note{Text: "go.example/log\n1\nAAAA\n"}, signer)
	if err != nil {
		panic(err)
	}
	answer := map[string]interface{}{"refused": refused, "vkey": public, "note": string(own)}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		panic(err)
	}
}
