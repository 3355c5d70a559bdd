// Package language says things in the languages of people.
//
// English is written where it is used: in the templates and in the sentences of
// the code. A catalogue per language pairs that English with what to say instead,
// so that a template reads as the page that it makes:
//
//	templates/languages/de.txt    Sign in                    <- the English, on one line
//	                                Anmelden                 <- the German, indented
//
//	template --Segments--> English --Language.Template--> the template in German, parsed once at start
//	sentence of the code --Language.Say--> the sentence in German
//	request --Catalogue.Match--> the language to answer in
//
// A segment is what stands between two block elements, with its inline elements
// and actions: whoever translates moves them as the language wants. Sentences
// with parts that only the moment knows have numbered braces for them, as in
// "The {1} account {2} was linked". What a catalogue lacks is said in English;
// tests fail for each lack.
//
// The word Larder stands for the name that the operator gives the service.
package language
