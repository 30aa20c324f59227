"""Eight properties of crystals by crystal graph networks (Xie 2018; part of Court 2020)."""
