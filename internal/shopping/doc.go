// Package shopping knows what people mean when they write down what to buy:
//
//	Parse("1,5 kg flour")   -> 1.5 "kg" "flour"
//	Merge(500 g, 1 kg)      -> 1500 g, or not at all when they cannot be added up
//	Barcode("4006381333931") -> its check digit is right (GS1 General Specifications §7.9)
//
// Lists, recipes and the pantry put things on a list by the same rules.
package shopping
